# SPDX-License-Identifier: Apache-2.0
"""The real rclone as OSCAR's mount sidecar: its flags, what they permit, and life without FUSE."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.handle import Sandbox, run_sandbox, wait_until
from tests.functional.conftest import Deploy
from tests.functional.coordination import content, keys_of

FUSE = os.access("/dev/fuse", os.R_OK | os.W_OK)
needs_fuse = pytest.mark.skipif(not FUSE, reason="/dev/fuse cannot be used here")
# As OSCAR starts it, but for the user: a job's namespace has no other than 0.
FLAGS = (
    "--dir-cache-time 10s --allow-other --allow-non-empty --umask 0007 --uid 0 --gid 0 "
    "--no-checksum"
)
OPEN_FOR_ALL = "import os,sys; f=os.open(sys.argv[1], os.O_RDWR); os.write(f, b'Z'); os.close(f)"


@pytest.fixture
def data(sandbox: Sandbox, name: str) -> str:
    """A bucket with one object of ten bytes."""
    bucket = f"{name}-data"
    sandbox.minio.make_bucket(bucket)
    put(sandbox, bucket, "sub/file.txt", b"0123456789")
    return bucket


def put(sandbox: Sandbox, bucket: str, key: str, data: bytes) -> None:
    sandbox.minio.put_object(bucket, key, io.BytesIO(data), len(data))


def mount(bucket: str, options: str = "") -> dict[str, Any]:
    entry = {"storage_provider": "minio.default", "path": f"/{bucket}", "options": options}
    return {"mount": entry, "environment": {"variables": {"AT": f"/mnt/{bucket}"}}}


def log_of_one(sandbox: Sandbox, name: str) -> str:
    sandbox.invoke(name, "{}")
    (job,) = sandbox.wait_until_ended(name)
    return sandbox.read_log(name, job)


def sidecars(bucket: str) -> list[str]:
    """Command lines of rclone processes that mount the bucket."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode("utf-8", "replace").split("\0")
        except OSError:
            continue
        if words[0].endswith("rclone") and f"oscar:{bucket}" in words:
            found.append(" ".join(words))
    return found


@needs_fuse
def test_the_sidecar_has_oscars_flags_and_no_secret(
    sandbox: Sandbox, deploy: Deploy, name: str, data: str
) -> None:
    deploy("sleep 60", **mount(data, "--vfs-cache-mode writes --log-level=INFO"))
    sandbox.invoke(name, "{}")
    (line,) = wait_until(lambda: sidecars(data) or None, 10, lambda: "no rclone")
    assert (
        f"mount oscar:{data} /mnt/{data} {FLAGS} --vfs-cache-mode writes --log-level=INFO" in line
    )
    assert sandbox.secret_key not in line
    sandbox.remove(name)
    wait_until(lambda: not sidecars(data) or None, 10, lambda: str(sidecars(data)))


@needs_fuse
def test_without_a_cache_files_are_written_once_and_from_the_start(
    sandbox: Sandbox, deploy: Deploy, name: str, data: str
) -> None:
    """What a script that opens a file twice learns only on the cluster otherwise."""
    deploy(
        'cd "$AT"; stat -c "mode %a" sub sub/file.txt\n'
        "(printf more >> sub/file.txt) && echo appended\n"
        f'python3 -c "{OPEN_FOR_ALL}" sub/file.txt && echo rewritten in the middle\n'
        "printf new > sub/new.txt && printf replaced > sub/file.txt && echo written anew",
        **mount(data),
    )
    log = log_of_one(sandbox, name)
    assert "mode 770\nmode 660\n" in log
    assert "written anew" in log
    assert "appended" not in log
    assert "rewritten" not in log
    assert content(sandbox, data, "sub/new.txt") == b"new"
    assert content(sandbox, data, "sub/file.txt") == b"replaced"


@needs_fuse
def test_with_a_cache_in_the_options_files_can_be_appended_to(
    sandbox: Sandbox, deploy: Deploy, name: str, data: str
) -> None:
    deploy('printf more >> "$AT/sub/file.txt"', **mount(data, "--vfs-cache-mode writes"))
    log_of_one(sandbox, name)
    assert content(sandbox, data, "sub/file.txt") == b"0123456789more"


@needs_fuse
def test_a_new_object_is_seen_late_but_within_the_directory_caches_time(
    sandbox: Sandbox, deploy: Deploy, name: str, data: str
) -> None:
    deploy(
        'ls "$AT/sub"; touch "$AT/ready"; now=$(date +%s)\n'
        'until [ -e "$AT/sub/late" ]; do sleep 0.2; done; echo waited $(($(date +%s) - now)) s',
        **mount(data),
    )
    sandbox.invoke(name, "{}")
    wait_until(
        lambda: "ready" in keys_of(sandbox, data) or None, 10, lambda: "the job does not start"
    )
    put(sandbox, data, "sub/late", b"x")
    (job,) = sandbox.wait_until_ended(name, within_s=30)
    log = sandbox.read_log(name, job)
    waited = int(log.rpartition("waited ")[2].split()[0])
    assert 5 <= waited <= 13, log


@pytest.fixture(scope="module")
def copying(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox that has no FUSE."""
    with run_sandbox(tmp_path_factory.mktemp("copying"), ["--without-fuse"]) as found:
        yield found


def test_without_fuse_the_mount_is_copied_and_up_and_log_say_so(
    copying: Sandbox, name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = f"{name}-data"
    copying.minio.make_bucket(data)
    put(copying, data, "sub/file.txt", b"0123456789")
    put(copying, data, "sub/doomed.txt", b"x")
    script = (
        'cat "$AT/sub/file.txt"; printf new > "$AT/sub/new.txt"; rm "$AT/sub/doomed.txt"\n'
        'grep -c " $AT " /proc/mounts; grep -c fuse /proc/mounts\n'
        'printf changed > "$AT/sub/file.txt"'
    )
    copying.deploy({"name": name, "image": "sandbox", "script": script, **mount(data)})
    log = log_of_one(copying, name)
    assert "sandbox: FUSE does not work here, so the mount is simulated" in log
    assert "01234567891\n0\n" in log, "the content in a mount, which is no FUSE file system"
    assert content(copying, data, "sub/new.txt") == b"new"
    assert content(copying, data, "sub/file.txt") == b"changed"
    assert "sub/doomed.txt" in keys_of(copying, data), "as the log says, deletions are not copied"
    said = (tmp_path_factory.getbasetemp() / "copying0/sandbox.log").read_text()
    assert "mounts are simulated by copying" in said
