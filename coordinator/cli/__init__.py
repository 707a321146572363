# SPDX-License-Identifier: Apache-2.0
"""The command line: one module per verb.

A verb loads the config, makes the clients, calls the packages below and prints the result. Only
this package reads argv and writes to stdout.
"""
