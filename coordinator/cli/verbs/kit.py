# SPDX-License-Identifier: Apache-2.0
"""`kit`: prints the script of a service whose command handles one file.

The script holds the whole worker, so the service's image needs Python 3.8 and nothing of this
package. It starts the worker again when a signal has killed it. With `--sh` the script holds the
worker that is written in POSIX sh, for images without Python.
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from ... import __version__
from ...model.errors import ConfigError
from ..output import print_note, write_stdout
from ..shipped import find_shipped

WORKER = "oscar_batch_worker.py"
SHELL_WORKER = "oscar_batch.sh"
MARKER = "# oscar-batch worker 1"
DATA_VARIABLE = "OSCAR_BATCH_DATA"
_END = "END_OF_OSCAR_BATCH_WORKER"

_HEAD = """\
#!/bin/sh
{marker}
# Written by oscar-batch {version}: oscar-batch kit {options}
# The script of an OSCAR service that works through batches: it runs the command below for every
# item. Do not edit the worker; write the script again with a newer oscar-batch.
set -u

# With a mount, OSCAR 4 marks every job as failed whose container has no writable /tmpfolder.
[ ! -d /oscar/config ] || mkdir -p /tmpfolder 2>/dev/null || :

python=$(command -v python3 || command -v python) || {{
    echo "oscar-batch: the image has no python3; use: oscar-batch kit --sh" >&2
    exit 1
}}
OSCAR_BATCH_HOME=$(mktemp -d "${{TMPDIR:-/tmp}}/oscar-batch.XXXXXX") || exit 1
export OSCAR_BATCH_HOME
trap 'rm -rf "$OSCAR_BATCH_HOME"' EXIT
"""

# A worker that was killed is started again, as docs/protocol.md says. The worker runs in the
# background, because a shell handles a signal only when its foreground command has ended.
_LOOP = """\
ended=
trap 'ended=1; kill -TERM "$worker" 2>/dev/null' TERM
deaths=0
while :; do
    {command} &
    worker=$!
    wait "$worker"
    code=$?
    while [ -n "$ended" ] && kill -0 "$worker" 2>/dev/null; do
        wait "$worker"
        code=$?
    done
    [ "$code" -gt 128 ] && [ -z "$ended" ] || break
    [ ! -e "$OSCAR_BATCH_HOME/settled" ] || {{ rm -f "$OSCAR_BATCH_HOME/settled"; deaths=0; }}
    deaths=$((deaths + 1))
    [ "$deaths" -le 20 ] || break
    OSCAR_BATCH_SIGNAL=$((code - 128))
    export OSCAR_BATCH_SIGNAL
    echo "oscar-batch: the worker was killed by signal $OSCAR_BATCH_SIGNAL, starting it again" >&2
done
exit "$code"
"""


def execute(arguments: argparse.Namespace) -> int:
    """Prints the script, or writes it to the file of `-o`."""
    if arguments.sh:
        if arguments.command is None or arguments.jobs != 1:
            raise ConfigError(["--sh: works with --command, one item at a time"])
        worker = find_worker(SHELL_WORKER).read_text("utf-8")
        script = write_shell_script(worker, arguments.command)
    else:
        script = write_script(
            find_worker().read_text("utf-8"),
            command=arguments.command,
            stdin=arguments.stdin,
            module=arguments.module,
            jobs=arguments.jobs,
        )
    if arguments.output is None:
        write_stdout(script)
    else:
        _write_file(arguments.output, script)
    if arguments.bucket:
        print_note(explain_buckets(arguments.bucket))
    return 0


def _write_file(path: Path, script: str) -> None:
    try:
        path.write_text(script, "utf-8")
        path.chmod(0o755)
    except OSError as error:
        raise ConfigError([f"kit: cannot write {path}: {error.strerror}"]) from error


def write_script(
    worker: str, *, command: str | None, stdin: str | None, module: str | None, jobs: int
) -> str:
    """The script for one of the three forms. Raises ConfigError."""
    given = {"--command": command, "--stdin": stdin, "--module": module}
    option, value = next((name, text) for name, text in given.items() if text is not None)
    if not value.split():
        raise ConfigError([f"{option}: names no program"])
    if jobs < 1 or (module is not None and jobs > 1):
        raise ConfigError(["--jobs: 1 or more items at a time, and only with a command or --stdin"])
    options = f"{option} {shlex.quote(value)}" + (f" --jobs {jobs}" if jobs > 1 else "")
    shown = " ".join(options.split())  # a comment is one line
    head = _HEAD.format(marker=MARKER, version=__version__, options=shown)
    return f"{head}{_make_file(worker)}{_LOOP.format(command=_make_command(module, options))}"


def write_shell_script(worker: str, command: str) -> str:
    """The script for images without Python: the worker, given its option. Raises ConfigError."""
    if not command.split():
        raise ConfigError(["--command: names no program"])
    first, rest = worker.split("\n", 1)
    option = f"--command {shlex.quote(command)}"
    shown = " ".join(option.split())
    return (
        f"{first}\n# Written by oscar-batch {__version__}: oscar-batch kit --sh {shown}\n"
        f"set -- {option}\n{rest}"
    )


def _make_file(worker: str) -> str:
    if _END in worker.splitlines():
        raise ValueError(f"the worker holds the line {_END}")
    return f"cat >\"$OSCAR_BATCH_HOME/{WORKER}\" <<'{_END}'\n{worker}{_END}\n"


def _make_command(module: str | None, options: str) -> str:
    if module is None:
        return f'"$python" -u "$OSCAR_BATCH_HOME/{WORKER}" {options}'
    program = shlex.quote(module) if module.endswith(".py") else f"-m {shlex.quote(module)}"
    return f'PYTHONPATH="$OSCAR_BATCH_HOME${{PYTHONPATH:+:$PYTHONPATH}}" "$python" -u {program}'


def explain_buckets(buckets: list[str]) -> str:
    """What a service's definition says so that its own keys may be used for these buckets."""
    return (
        "Put this into the service's definition, so that a coordinator may use its credentials for "
        "data that it neither mounts nor writes:\n"
        "  environment:\n    variables:\n"
        f"      {DATA_VARIABLE}: {shlex.quote(','.join(buckets))}"
    )


def find_worker(name: str = WORKER) -> Path:
    """A worker's file."""
    return find_shipped(f"worker/{name}")
