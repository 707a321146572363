# SPDX-License-Identifier: Apache-2.0
"""What the demo and the tests know of every example: its data, its script, its expected outputs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from examples.digits.make_digits import make_digits
from examples.photos import make_photos
from examples.recordings import make_recordings
from examples.texts import make_texts

HERE = Path(__file__).resolve().parent
TURBIDITY_IMAGE = f"oscar-batch/turbidity:0.1.0={HERE / 'turbidity'}:/opt/turbidity"
"""For tests: the sandbox's `--image` option for the target in range mode."""


@dataclass(frozen=True, slots=True)
class Example:
    """One service: `examples/<name>/<name>.yaml`, and the items that the demo gives it."""

    name: str
    data: str
    make: Callable[[Path, int], list[Path]]
    count: int
    output: str
    """The output of an item: bucket and key, from `{folder}`, `{name}`, `{stem}` and `{key}`."""
    kit: tuple[str, ...] = ()
    """The arguments of `oscar-batch kit`; none if the example has its own script.sh."""
    programs: tuple[str, ...] = ()
    """What its image holds in /opt/<name>."""
    model: str = ""
    verify: Mapping[str, str] | None = None
    """`run.verify`: what proves an item of a service without the kit."""

    @property
    def folder(self) -> Path:
        return HERE / self.name

    @property
    def prefix(self) -> str:
        return "input/"

    def expect(self, key: str) -> str:
        """Where the output of an item lies, as bucket and key."""
        below = PurePosixPath(key.removeprefix(self.prefix))
        folder = "" if str(below.parent) == "." else f"{below.parent}/"
        return self.output.format(folder=folder, name=below.name, stem=below.stem, key=key)

    def fill_image(self, folder: Path) -> str:
        """Fill a folder with what the image holds; the sandbox's `--image` option for it."""
        folder.mkdir(parents=True)
        for program in self.programs:
            shutil.copy(self.folder / program, folder)
        if self.model:
            command = [sys.executable, str(self.folder / "train.py"), str(folder / self.model)]
            subprocess.run(command, check=True)
        return f"oscar-batch/{self.name}:0.1.0={folder}:/opt/{self.name}"


EXAMPLES: Mapping[str, Example] = {
    example.name: example
    for example in (
        Example(
            name="grayify",
            data="observatory",
            make=make_photos,
            count=120,
            output="grayify-out/thumbs/{folder}{name}.gray.jpg",
            kit=("--module", "/opt/grayify/grayify.py"),
            programs=("grayify.py",),
        ),
        Example(
            name="checksum",
            data="archive",
            make=make_texts,
            count=24,
            output="checksum-out/sums/{folder}{name}.sha256",
            kit=(
                "--sh",
                "--command",
                """sh -c 'sha256sum <"$0" >"$1/$2.sha256"' {input} {output_dir} {name}""",
            ),
        ),
        Example(
            name="digits",
            data="scans",
            make=make_digits,
            count=60,
            output="digits-out/found/{folder}{name}.json",
            kit=("--stdin", "python3 /opt/digits/classify.py"),
            programs=("classify.py",),
            model="model.joblib",
        ),
        Example(
            name="spectrograms",
            data="hydrophone",
            make=make_recordings,
            count=12,
            output="spectrograms-out/pictures/{folder}{stem}.png",
            kit=(
                "--command",
                "ffmpeg -nostdin -loglevel error -i {input} "
                "-lavfi showspectrumpic=s=640x320 -update 1 {output_dir}/{stem}.png",
            ),
        ),
        Example(
            name="turbidity",
            data="observatory",
            make=make_photos,
            count=24,
            output="turbidity-out/values/{key}.json",
            programs=("turbidity.py",),
            verify={"bucket": "turbidity-out", "prefix": "values/input/", "suffix": ".json"},
        ),
        Example(
            name="words",
            data="words",
            make=make_texts,
            count=24,
            output="words/out/{name}.words",
        ),
    )
}
