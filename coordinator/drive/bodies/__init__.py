# SPDX-License-Identifier: Apache-2.0
"""Bodies of invocations: the form that OSCAR passes on, storage events, the config's templates.

Pure, and bounded in time and size whatever a template or a key holds. Nothing here is sent.
"""
