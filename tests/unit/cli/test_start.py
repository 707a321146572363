# SPDX-License-Identifier: Apache-2.0
"""The help answers at once: no verb imports what it needs before it is executed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
PROGRAM = """
import contextlib, io, json, sys
from coordinator.cli.arguments import make_parser
from coordinator.cli.main import main
verbs = next(iter(a.choices for a in make_parser()._actions if a.dest == "verb"))
for verb in ("", *verbs):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        main([*([verb] if verb else []), "--help"])
print(json.dumps(sorted(sys.modules)))
"""


def test_the_help_of_every_verb_loads_only_the_standard_library_and_little_of_it() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{PROGRAM}",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = json.loads(done.stdout)
    heavy = {"email", "http", "jinja2", "minio", "requests", "ssl", "urllib3", "yaml"}
    assert heavy & {name.partition(".")[0] for name in loaded} == set()
    # 0.05 s of CPU on a slow core of 2020; 0.3 s are allowed.
    assert len(loaded) < 160
