# SPDX-License-Identifier: Apache-2.0
"""What becomes of an accepted job: queued, bound to a node, run in a container, ended.

Three modules are programs that run inside the job (`supervisor`, `mount`, `fusermount`) and
import nothing but each other.
"""
