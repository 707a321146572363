# SPDX-License-Identifier: Apache-2.0
"""Turns what a report holds into shapes and labels: numbers that the templates draw.

Pure. It knows neither HTML nor colours; a kind of bar has a name, and the style gives it a look.
"""
