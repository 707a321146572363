# SPDX-License-Identifier: Apache-2.0
"""The nouns of OSCAR-Batch: frozen values, their units, and the errors with their exit codes.

Pure, and without any wire format. Anything beyond a simple property belongs to another package.
"""
