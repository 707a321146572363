# SPDX-License-Identifier: Apache-2.0
"""Writes a report as JSON, HTML page and text, and reads the JSON back.

Pure. The only package that uses jinja2. It decides nothing about the run.
"""
