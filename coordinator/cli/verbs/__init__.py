# SPDX-License-Identifier: Apache-2.0
"""A module per verb of the command line, named as the verb; each has `execute(arguments)`.

A verb loads the config, makes the clients, calls the packages below and prints the result. Options,
reading of files and all output belong to `cli`.
"""
