# SPDX-License-Identifier: Apache-2.0
"""A mounted bucket: seen through /mnt/<path>, written back, and how the job then ends."""

import io
import os
from pathlib import Path

import pytest

from sandbox.handle import Sandbox, run_sandbox
from tests.functional.conftest import Deploy

SCRIPT = """
cat "/mnt/$DATA/sub/dir/ä b.txt"
echo made > "/mnt/$DATA/sub/dir/new.txt"
mkdir -p "/mnt/$DATA/sub/dir/deep"
cp "/mnt/$DATA/sub/dir/ä b.txt" "/mnt/$DATA/sub/dir/deep/copy"
ls "/mnt/$DATA/sub" 2>&1
grep " /mnt/$DATA/sub/dir fuse.rclone " /proc/mounts
"""


@pytest.mark.parametrize(
    ("prepare", "status"), [("mkdir /tmpfolder", "Succeeded"), ("true", "Failed")]
)
def test_a_mount_is_seen_and_written_back(
    sandbox: Sandbox, deploy: Deploy, name: str, prepare: str, status: str
) -> None:
    data = f"{name}-data"
    sandbox.minio.make_bucket(data)
    sandbox.minio.put_object(data, "sub/dir/ä b.txt", io.BytesIO(b"hello\n"), 6)
    sandbox.minio.put_object(data, "outside.txt", io.BytesIO(b"x"), 1)
    deploy(
        f"{prepare}\n{SCRIPT}",
        mount={"storage_provider": "minio.default", "path": f"/{data}/sub/dir"},
        environment={"variables": {"DATA": data}},
    )
    sandbox.invoke(name, '{"start":1}')
    ((job, state),) = sandbox.wait_until_ended(name).items()
    log = sandbox.read_log(name, job)
    assert "\nhello\n" in log
    found = {item.object_name for item in sandbox.minio.list_objects(data, recursive=True)}
    assert found >= {"sub/dir/new.txt", "sub/dir/deep/copy", "outside.txt"}
    answer = sandbox.minio.get_object(data, "sub/dir/new.txt")
    assert answer.read() == b"made\n"
    answer.close()
    answer.release_conn()
    assert state["status"] == status, "the manager's finish file needs /tmpfolder since v4"
    if os.access("/dev/fuse", os.R_OK | os.W_OK):
        assert "fuse.rclone" in log
    else:
        assert "mount is simulated" in log


def test_no_mount_is_left_on_the_host(sandbox: Sandbox, deploy: Deploy, name: str) -> None:
    """Other rclone mounts may belong to whoever runs the tests."""
    sandbox.minio.make_bucket(f"{name}-data")
    mount = {"storage_provider": "minio.default", "path": f"{name}-data"}
    deploy("mkdir /tmpfolder; cat /proc/mounts", mount=mount)
    sandbox.invoke(name, "{}")
    (job,) = sandbox.wait_until_ended(name)
    if os.access("/dev/fuse", os.R_OK | os.W_OK):
        assert f"/mnt/{name}-data fuse.rclone" in sandbox.read_log(name, job)
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        assert f"{name}-data" not in mounts.read()


LATE = """
ls /mnt/late-data
until grep -q " /mnt/late-data " /proc/mounts; do sleep 0.1; done
ls /mnt/late-data
"""


@pytest.mark.skipif(not os.access("/dev/fuse", os.R_OK | os.W_OK), reason="without /dev/fuse")
def test_a_script_may_start_before_its_mount(tmp_path: Path) -> None:
    with run_sandbox(tmp_path, ["--mount-delay", "1.5"]) as sandbox:
        sandbox.minio.make_bucket("late-data")
        sandbox.minio.put_object("late-data", "item.txt", io.BytesIO(b"x"), 1)
        mount = {"storage_provider": "minio.default", "path": "late-data"}
        sandbox.deploy({"name": "late", "image": "i", "script": LATE, "mount": mount})
        sandbox.invoke("late", "{}")
        (job,) = sandbox.wait_until_ended("late")
        assert sandbox.read_log("late", job).count("item.txt") == 1, "only once it is mounted"
