# SPDX-License-Identifier: Apache-2.0
"""`Report` → JSON, HTML page and terminal text, and the JSON back into values.

Pure: text in, text out. The only package that uses jinja2. It decides nothing about the run.
"""
