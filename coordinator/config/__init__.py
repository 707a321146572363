# SPDX-License-Identifier: Apache-2.0
"""config.json, the environment and mounted files → `Config`, with all defaults and checks.

The only package that reads YAML and the environment. It contacts nothing.
"""
