# SPDX-License-Identifier: Apache-2.0
"""The entries for OSCAR Hub, made of the files that the repository has already."""
