# SPDX-License-Identifier: Apache-2.0
"""Turn one range of a run's index into grey thumbnails: the work of one invocation of `grayify`.

In: the invocation that OSCAR-Batch posts,
`{"start": 1, "end": 250, "index": "…/index.txt", "bucket": "observatory", …}`; `start` and `end`
are lines of the index, counted from 1, both included. A line is the key of an object, and OSCAR
shows the object of that key as the file `/mnt/<bucket>/<key>`, with other characters in place of
the control characters of the key (`name_in_mount`).
Out: for each key the file `<output>/<key>.gray.jpg`, which OSCAR uploads when the script ends.

Called by `script.sh`. It writes nothing through the mount, opens nothing but JPEG, and leaves no
half-written output: OSCAR ignores exit codes, so only the outputs that exist show what is done.
"""

import argparse
import json
import os
import sys
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from pathlib import Path

from PIL import Image, ImageOps

SUFFIX = ".gray.jpg"
"""Added to the whole key, not put in place of its suffix: `a.jpg` and `a.JPG` stay two outputs."""

# rclone, which makes OSCAR's mount, shows a control character as its symbol (U+2400 + code, DEL as
# U+2421), and marks a symbol that is itself in the key. It cannot open a key that has the mark.
_MARK = "\u201b"
_SYMBOLS = {chr(code): chr(0x2400 + code) for code in range(1, 0x20)} | {"\x7f": "\u2421"}
_NAMES_IN_MOUNT = str.maketrans(_SYMBOLS | {each: _MARK + each for each in _SYMBOLS.values()})

MAX_SIDE_PX = 256
JPEG_QUALITY = 85
POLL_S = 0.5


class Refused(Exception):
    """The invocation as a whole cannot be worked on; no output is made."""


@dataclass(frozen=True, slots=True)
class Work:
    """What one invocation asks for."""

    start: int
    """First line of the index to process, counted from 1."""
    end: int
    """Last line to process, itself included."""
    index: str
    """Key of the index object."""
    bucket: str
    """Bucket of the index and of the items."""

    @classmethod
    def from_json(cls, text: str | bytes) -> "Work":
        """Read an invocation; keys that are not ours (`run`, `chunk`, `attempt`, …) are ignored."""
        try:
            raw: object = json.loads(text)
        except ValueError as e:
            raise Refused(f"the invocation is not JSON: {e}") from e
        if not isinstance(raw, dict):
            raise Refused("the invocation is not a JSON object")
        start, end, index, bucket = (raw.get(name) for name in ("start", "end", "index", "bucket"))
        # type(), because JSON's true is a Python int too.
        if type(start) is not int or type(end) is not int or not 1 <= start <= end <= sys.maxsize:
            raise Refused(f"start and end are not lines of an index: start={start!r}, end={end!r}")
        if not isinstance(index, str) or not is_path(index):
            raise Refused(f"index is not the key of an object: {index!r}")
        if not isinstance(bucket, str) or "/" in bucket or not is_path(bucket):
            raise Refused(f"bucket is not the name of a bucket: {bucket!r}")
        return cls(start=start, end=end, index=index, bucket=bucket)


@dataclass(frozen=True, slots=True)
class Tally:
    """How the lines of a range went; fewer than the range has only if the index ends before it."""

    done: int = 0
    failed: int = 0


def is_path(key: str) -> bool:
    """Whether a file can have the key as its name, and no other key can have the same file.

    `a//b` and `a/./b` would both be the file `a/b`, and `..` would leave the folder.
    """
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in key and not any(part in ("", ".", "..") for part in key.split("/"))


def output_name(key: str) -> str:
    """Where in the output folder the thumbnail goes; never outside, never one for two keys."""
    if not is_path(key):
        raise ValueError("the key cannot be a file name")
    return key + SUFFIX


def name_in_mount(key: str) -> str:
    """The name under which OSCAR's mount shows the object of this key, if it can be opened."""
    if _MARK in key:
        raise ValueError(f"the mount cannot open a key with the character {_MARK} (U+201B)")
    return key.translate(_NAMES_IN_MOUNT)


def read_keys(index: Iterable[bytes], work: Work) -> Iterator[str]:
    """The keys of the range, nothing read beyond it; bytes that are not UTF-8 become surrogates."""
    for line in islice(index, work.start - 1, work.end):
        yield line.removesuffix(b"\n").decode(errors="surrogateescape")


def thumbnail(source: Path) -> bytes:
    """The image as an upright grey JPEG of at most 256 x 256, without the original's metadata."""
    with Image.open(source, formats=("JPEG",)) as image:
        image.draft(
            "L", (2 * MAX_SIDE_PX, 2 * MAX_SIDE_PX)
        )  # decodes a large JPEG at a fraction of its size
        image.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX))
        upright = ImageOps.exif_transpose(image).convert("L")
    upright.info.clear()
    encoded = BytesIO()
    upright.save(encoded, "JPEG", quality=JPEG_QUALITY)
    return encoded.getvalue()


def write_whole(target: Path, content: bytes) -> None:
    """Write the file, or leave none: a part of one would be uploaded and pass for a result."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.write_bytes(content)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def process(work: Work, *, mount_root: Path, output: Path, report: Callable[[str], None]) -> Tally:
    """Make the thumbnail of every line; failures are reported by key and stop nothing else."""
    bucket = mount_root / work.bucket
    # Files that were copied instead of mounted have the names of their keys.
    name_file = name_in_mount if bucket.is_mount() else str
    done = failed = 0
    with (bucket / work.index).open("rb") as index:
        for key in read_keys(index, work):
            try:
                target = output / output_name(key)
                write_whole(target, thumbnail(bucket / name_file(key)))
            except Exception as e:  # a decoder fed with broken files raises nearly everything
                failed += 1
                report(f"grayify: {key}: {type(e).__name__}: {e}")
            else:
                done += 1
    return Tally(done, failed)


def wait_for(
    path: Path,
    *,
    wait_s: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Whether the file is there, or appears in time: OSCAR's mount may come up after the script."""
    deadline_s = clock() + wait_s
    while not os.path.isfile(path):  # Path.is_file raises while a FUSE mount comes up
        if clock() >= deadline_s:
            return False
        sleep(POLL_S)
    return True


def printable(text: str) -> str:
    """The text in one line, without control and formatting characters: keys may hold anything."""
    return "".join(c for c in text if unicodedata.category(c)[0] != "C")


def report_to_stderr(text: str) -> None:
    """One line to the log."""
    print(printable(text), file=sys.stderr, flush=True)


def run(invocation: Path, *, output: Path, mount_root: Path, wait_s: float) -> int:
    """Do the work of one invocation; its exit code is for runs by hand, OSCAR ignores it."""
    work = Work.from_json(invocation.read_bytes())
    bucket = mount_root / work.bucket
    if not wait_for(bucket / work.index, wait_s=wait_s):
        state = "is mounted, but shows" if bucket.is_mount() else "is not mounted, and there is"
        raise Refused(f"after {wait_s:g} s {bucket} {state} no {work.index}")
    tally = process(work, mount_root=mount_root, output=output, report=report_to_stderr)
    next_line = work.start + tally.done + tally.failed
    if next_line <= work.end:
        report_to_stderr(f"grayify: the index has no line {next_line}")
    print(
        f"grayify: lines {work.start}-{work.end}: {tally.done} done, {tally.failed} failed",
        flush=True,
    )
    return 1 if tally.failed or next_line <= work.end else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Read the command line, run, and turn what stops all of it into one line of the log."""
    parser = argparse.ArgumentParser(
        prog="grayify", description="Make grey thumbnails of one range of an index."
    )
    parser.add_argument("invocation", type=Path, help="file with the JSON of the invocation")
    parser.add_argument("--output", type=Path, required=True, help="folder for the thumbnails")
    parser.add_argument(
        "--mount-root",
        type=Path,
        default=Path("/mnt"),
        help="where buckets are mounted (%(default)s)",
    )
    parser.add_argument(
        "--wait", type=float, default=30.0, help="seconds to wait for the mount (%(default)g)"
    )
    args = parser.parse_args(argv)
    try:
        return run(
            args.invocation, output=args.output, mount_root=args.mount_root, wait_s=args.wait
        )
    except (Refused, OSError) as e:
        report_to_stderr(f"grayify: {e}")
        return 2


if __name__ == "__main__":
    sys.exit(main())
