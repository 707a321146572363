# SPDX-License-Identifier: Apache-2.0
"""Accepted jobs: they are queued, bound to a node, run in a container, and end.

Three modules are programs that run inside the job (`supervisor`, `mount`, `fusermount`) and
import nothing but each other.
"""
