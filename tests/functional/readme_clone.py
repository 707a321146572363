# SPDX-License-Identifier: Apache-2.0
"""A copy of the repository with a fresh environment, and a shell in it, as a new user has them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement

from sandbox.storage.backends import VARIABLE

ROOT = Path(__file__).resolve().parents[2]
_IGNORED = shutil.ignore_patterns(
    "__pycache__", "*.egg-info", "build", ".venv", ".git", ".*_cache", ".hypothesis"
)
_OURS = ("oscar-batch", "oscar-batch-sandbox")
_MARK = "the end of a command:"


def make_clone(folder: Path) -> None:
    """Copies the sources, and makes what `make venv` makes of them, without a package index."""
    shutil.copytree(ROOT, folder, ignore=_IGNORED)
    venv = folder / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    (site,) = venv.glob("lib/python*/site-packages")
    # Jobs of the sandbox see the clone, and other folders only by chance.
    for name in sorted(list_requirements(_OURS)):
        _link_distribution(name, site)
    (site / "others.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    (venv / "bin" / "aws").symlink_to(Path(sys.executable).with_name("aws"))
    pip = [sys.executable, "-m", "pip", "--python", str(venv / "bin" / "python"), "install"]
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    sources = ["--editable", str(folder), "--editable", str(folder / "sandbox")]
    subprocess.run([*pip, *options, *sources], check=True, timeout=100)


def list_requirements(names: tuple[str, ...]) -> set[str]:
    """What these distributions require, directly or not; without themselves."""
    found: set[str] = set()
    left = list(names)
    while left:
        for line in distribution(left.pop()).requires or ():
            requirement = Requirement(line)
            name = re.sub(r"[-_.]+", "-", requirement.name).lower()
            if name in found or name in names:
                continue
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                found.add(name)
                left.append(name)
    return found


def _link_distribution(name: str, site: Path) -> None:
    """Puts the files of an installed distribution into another environment."""
    found = distribution(name)
    for file in found.files or ():
        source, target = Path(str(found.locate_file(file))), site / file
        if source.suffix == ".pyc" or not source.is_file():
            continue
        target = Path(os.path.normpath(target))
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            continue
        try:
            os.link(source.resolve(), target)
        except OSError:  # another file system
            shutil.copy2(source, target)


@dataclass(frozen=True, slots=True)
class Answer:
    code: int
    text: str


class Shell:
    """One bash, in which commands run one after the other, as a user types them."""

    def __init__(self, folder: Path, home: Path) -> None:
        home.mkdir()
        kept = {name: os.environ[name] for name in (VARIABLE, "MINIO_BINARY") if name in os.environ}
        environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            **kept,
        }
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        )

    def run(self, command: str) -> Answer:
        """Runs a command to its end; nothing can be typed into it."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{{\n{command}\n}} </dev/null; printf '\\n{_MARK} %s\\n' $?\n")
        self._process.stdin.flush()
        lines: list[str] = []
        for line in self._process.stdout:
            if line.startswith(_MARK):
                return Answer(int(line.removeprefix(_MARK)), "".join(lines).strip())
            lines.append(line)
        raise AssertionError(f"the shell has ended: {''.join(lines)}")

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()
