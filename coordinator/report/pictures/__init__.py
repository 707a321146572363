# SPDX-License-Identifier: Apache-2.0
"""Turns the values of a report into shapes and labels, which the templates draw.

Pure. It knows neither HTML nor colours: a bar has a kind, and the style sheet gives kinds colours.
"""
