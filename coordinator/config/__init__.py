# SPDX-License-Identifier: Apache-2.0
"""Reads config.json, the environment and mounted files into a `Config`, and checks them.

The only package that reads YAML and the environment. It contacts nothing.
"""
