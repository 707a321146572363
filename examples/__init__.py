# SPDX-License-Identifier: Apache-2.0
"""Complete target services, with sample data, that run in the sandbox and on a real cluster."""
