# SPDX-License-Identifier: Apache-2.0
"""What a reader of README.md is told to do: its commands, programs and files, in their order.

A command is a line of a shell block, and inline code that begins with the name of a program. Other
languages than these are an error, so that nothing is passed over:

    sh             commands, one a line
    python         a program
    json, yaml     a file; its name is the last one before the block in inline code
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

# Programs of others that this machine need not have.
FOREIGN = frozenset({"docker", "git", "make", "mc", "oscar-cli", "pip", "pipx"})
OURS = frozenset({"aws", "oscar-batch", "oscar-batch-sandbox", "python", "python3", "rclone"})
_FENCE = re.compile(r"^```(.*)$")
_INLINE = re.compile(r"`([^`\n]+)`")
_FILE = re.compile(r"`([\w-]+\.(?:json|yaml))`")
_COMMENT = re.compile(r"\s+#\s.*$")


class Kind(StrEnum):
    COMMAND = "command"
    PROGRAM = "program"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that a reader does."""

    kind: Kind
    text: str
    line: int
    name: str = ""
    """Of a file."""


def read_steps(text: str) -> Iterator[Step]:
    """The steps of a text in Markdown, in order. Raises ValueError for what it cannot read."""
    language: str | None = None
    block: list[str] = []
    begin, file = 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        fence = _FENCE.match(line)
        if fence and language is None:
            language, block, begin = fence[1].strip(), [], number + 1
        elif fence:
            yield from _read_block(str(language), block, begin, file)
            language = None
        elif language is not None:
            block.append(line)
        else:
            for found in _INLINE.findall(line):
                if is_command(found):
                    yield Step(Kind.COMMAND, found, number)
            file = (_FILE.findall(line) or [file])[-1]
    if language is not None:
        raise ValueError(f"line {begin}: a block has no end")


def is_command(code: str) -> bool:
    """Whether inline code is a whole command, and not a name or a part of one."""
    program, _, rest = code.partition(" ")
    return bool(rest) and (program in FOREIGN | OURS or shutil.which(program) is not None)


def _read_block(language: str, lines: list[str], begin: int, file: str) -> Iterator[Step]:
    text = "\n".join(lines)
    if language == "sh":
        if any(line.endswith("\\") for line in lines):
            raise ValueError(f"line {begin}: a command that goes on in the next line")
        for number, line in enumerate(lines, begin):
            if command := _COMMENT.sub("", line).strip():
                yield Step(Kind.COMMAND, command, number)
    elif language == "python":
        yield Step(Kind.PROGRAM, text, begin)
    elif language in ("json", "yaml"):
        if not file.endswith(language):
            raise ValueError(f"line {begin}: a block of {language} without the name of its file")
        yield Step(Kind.FILE, f"{text}\n", begin, file)
    else:
        raise ValueError(f"line {begin}: a block of {language or 'no language'}")
