# SPDX-License-Identifier: Apache-2.0
"""The client of OSCAR's REST API, for all releases. The only package that uses requests.

It returns model values, never JSON of OSCAR. What a run does with an answer belongs to `drive`.
"""
