# SPDX-License-Identifier: Apache-2.0
"""`make bench-kit`: what the worker kit adds to every item, its memory, and its writes.

Inputs come from a local folder and there are no outputs, so that nothing but the kit is measured.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sandbox.handle import Sandbox, run_sandbox
from tests.functional.kit_setting import KitSetting
from tests.functional.relay import relay
from tests.functional.servers import Server

ANSWER = "import sys\nfor line in sys.stdin:\n    print('{\"ok\": true}', flush=True)\n"
MOST_MS, MOST_MIB, MOST_WRITES = 5.0, 40.0, 3.0


@dataclass(frozen=True, slots=True)
class Figures:
    """One run of one worker."""

    items: int
    chunks: int
    seconds: float
    peak_mib: float

    @property
    def item_ms(self) -> float:
        return 1000 * self.seconds / self.items


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.kit", description=__doc__)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--chunk-lines", type=int, default=100_000, help="of the largest chunk")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, run_sandbox(Path(folder)) as sandbox:
        bench = Bench(sandbox, Path(folder))
        stdin = bench.run("stdin", arguments.items, 1000)
        command = bench.run("command", arguments.items // 10, 100)
        bare = measure_process(arguments.items // 10)
        print(f"--stdin, {stdin.items} items: {stdin.item_ms:.2f} ms an item")
        print(f"--command true, {command.items} items: {command.item_ms:.2f} ms an item")
        print(f"a bare process, started and waited for: {bare:.2f} ms")
        writes = bench.count_writes(20)
        print("writes a chunk: " + ", ".join(f"{name} {n:.2f}" for name, n in writes.items()))
        memory = bench.run("stdin", arguments.chunk_lines, arguments.chunk_lines, spread=False)
        print(
            f"peak resident memory, a chunk of {memory.items} lines (a plan makes none of more "
            f"than 1,000 unless plan.chunk_items says so): {memory.peak_mib:.1f} MiB"
        )
        print(f"  of these {bench.idle_mib:.1f} MiB before the first chunk")
    total = sum(writes.values())
    return int(stdin.item_ms > MOST_MS or memory.peak_mib > MOST_MIB or total > MOST_WRITES + 0.5)


class Bench:
    """Runs workers in a sandbox of their own."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self._server, self._folder, self._runs = Server("any", sandbox), folder, 0
        self.idle_mib = 0.0
        self._program = folder / "answer.py"
        self._program.write_text(ANSWER)

    def _prepare(self, items: int, chunk: int, *, spread: bool) -> KitSetting:
        self._runs += 1
        name = f"bench-{self._runs}"
        self._server.client.make_bucket(name)
        setting = KitSetting(self._server, name, self._folder / name)
        keys = [f"input/2026/camera-{line % 7}/image-{line:07d}.jpg" for line in range(items)]
        # A link each: the disk is not measured.
        (setting.root / "one").parent.mkdir(parents=True)
        (setting.root / "one").write_text("x")
        if not spread:
            keys = ["input/" + f"2026/camera-1/image-{0:07d}.jpg" for _ in range(items)]
        for key in dict.fromkeys(keys):
            path = setting.root / "mnt" / name / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.hardlink_to(setting.root / "one")
        setting.write_run([[keys[at : at + chunk] for at in range(0, items, chunk)]])
        return setting

    def run(self, form: str, items: int, chunk: int, *, spread: bool = True) -> Figures:
        """One worker that works through one lane."""
        setting = self._prepare(items, chunk, spread=spread)
        options = {
            "stdin": ("--stdin", f"{sys.executable} {self._program}"),
            "command": ("--command", "true {input}"),
        }
        job = setting.start_kit(*options[form])
        peak, first = 0.0, 0.0
        while job.process.poll() is None:
            peak = max(peak, read_peak(job.find_kit()))
            first = first or (peak if setting_has_begun(setting) else 0.0)
            time.sleep(0.05)
        self.idle_mib = first
        assert job.process.returncode == 0, (job.folder / "log").read_text()  # noqa: S101
        results = [
            setting.document(name.removeprefix(setting.state))
            for name in setting.list(f"{setting.state}results/")
        ]
        times = [
            datetime.fromisoformat(each[key]) for each in results for key in ("started", "finished")
        ]
        assert sum(len(each["items"]) for each in results) == items  # noqa: S101
        seconds = (max(times) - min(times)).total_seconds()
        return Figures(items, len(results), seconds, peak)

    def count_writes(self, chunks: int) -> dict[str, float]:
        """PUTs a chunk by kind of object, of a run that is shorter than a beat."""
        setting = self._prepare(chunks * 5, 5, spread=True)
        with relay(self._server.access.url) as between:
            setting.endpoint = between.url
            setting.run_kit("--command", "true {input}")
            puts = [each for each in between.requests if each.startswith("PUT ")]
        kinds = Counter(found.group(1) for each in puts if (found := re.search(r"/(\w+)/0", each)))
        return {name: count / chunks for name, count in sorted(kinds.items())}


def setting_has_begun(setting: KitSetting) -> bool:
    return bool(setting.list(f"{setting.state}claims/"))


def read_peak(pid: int | None) -> float:
    """The peak resident memory of a process so far, in MiB."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    found = re.search(r"VmHWM:\s+(\d+) kB", text)
    return int(found.group(1)) / 1024 if found else 0.0


def measure_process(count: int) -> float:
    """Milliseconds for starting a process that does nothing."""
    found = []
    for _ in range(count):
        begun = time.perf_counter()
        subprocess.run(["true"], check=True, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        found.append(time.perf_counter() - begun)
    return 1000 * statistics.median(found)


if __name__ == "__main__":
    sys.exit(main())
