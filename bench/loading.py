# SPDX-License-Identifier: Apache-2.0
"""What loading a model once gains: the example digits with `--stdin`, and started for every item.

Both ways do the same pictures with the same program on one slot of a local OSCAR. The time is
from the first claim to the last result, so the start of the long-lived program is in it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from examples.catalogue import EXAMPLES, Example
from examples.demo import Demo
from sandbox.handle import Sandbox, run_sandbox

DIGITS = EXAMPLES["digits"]
EACH = (
    """sh -c 'printf "{\\"input\\": \\"%s\\", \\"output_dir\\": \\"%s\\"}\\n" "$0" "$1" """
    """| python3 /opt/digits/classify.py' {input} {output_dir}"""
)


def measure(example: Example, count: int) -> float:
    """Seconds from the first claim to the last result."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "sandbox").mkdir()
        # Room for the coordinator and one slot.
        options = ["--nodes", "1x2:4Gi", "--image", example.fill_image(folder / "image")]
        with run_sandbox(folder / "sandbox", options) as sandbox:
            if missing := Demo(example, sandbox, folder).run(count):
                raise SystemExit(f"loading: {missing} items are not done")
            return read_span(sandbox, example.data)


def read_span(sandbox: Sandbox, bucket: str) -> float:
    """From the results of the run."""
    times: list[datetime] = []
    for found in sandbox.minio.list_objects(bucket, prefix=".oscar-batch/", recursive=True):
        if "/results/" in str(found.object_name):
            response = sandbox.minio.get_object(bucket, str(found.object_name))
            result = json.loads(response.read())
            response.close()
            times += [datetime.fromisoformat(result[name]) for name in ("started", "finished")]
    return (max(times) - min(times)).total_seconds()


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.loading")
    parser.add_argument("--count", type=int, default=40)
    count = parser.parse_args().count
    once = measure(DIGITS, count)
    each = measure(replace(DIGITS, kit=("--command", EACH)), count)
    print(f"{count} pictures on one slot: {once:.1f} s loaded once, {each:.1f} s loaded for each")
    print(f"gain: {each / once:.1f}x")
    return 0


if __name__ == "__main__":
    sys.exit(main())
