# SPDX-License-Identifier: Apache-2.0
"""What is done with runs from outside: they are looked at, brought to their end, and removed."""
