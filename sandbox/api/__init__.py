# SPDX-License-Identifier: Apache-2.0
"""OSCAR's manager over HTTP: routes, accounts, the answers of each release, chaos and faults.

It translates between HTTP and the packages below. What a job does is not decided here.
"""
