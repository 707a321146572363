# SPDX-License-Identifier: Apache-2.0
"""Starts the command line: `python -m coordinator`."""

import sys

from .cli.main import main

if __name__ == "__main__":
    sys.exit(main())
