# SPDX-License-Identifier: Apache-2.0
"""Requests that were sent to a real OSCAR are sent to the sandbox, and the answers compared.

Compared are the status, the headers that clients read, texts, and of JSON the keys, their order,
the types and, where they do not depend on the cluster, the values. `DIFFERENT` lists what differs
by intention, `NOT_REPLAYED` what cannot be replayed, both with the reason.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from sandbox.handle import Sandbox, run_sandbox
from tests.functional.recordings import FOLDER, Exchange, read_exchanges
from tests.functional.replay import FOLDER_SEEN, IMAGE, Replay

pytestmark = [pytest.mark.any_storage, pytest.mark.timeout(300)]

# As the two machines that were recorded.
NODES = "1x2:24097914880,1x2:12286754816"
# Files in the order in which they are replayed: a later one may need what an earlier one made.
SCENES = {
    "jobs": ["a0-create-test-service", "a-post-job", "c-logs-after-a", "c-job-logs", "g-calls"],
    "status": ["b-system-status", "c-delete", "c-pod-deleted", "b-system-status-notready"],
    "services": ["d-services"],
    "supervisor": ["f-supervisor-and-mount", "d-delete"],
    "mount": ["6-mount-names"],
    "pages": ["g-throughput", "g-listing-500"],
    "runs": ["6-weird-names", "6-main-job-rerun", "6-manager-restart", "6-triggers"],
    "restarts": ["6-lost-events", "6-minio-restart-during-run"],
    "release 3.7.1": ["v3.7.1/v371", "v3.7.1/6-main-job"],
}
NOT_REPLAYED = {
    r"d-upgrade-3.7.1-to-4.1.2\[": "the sandbox has one release from start to end",
    r"b-system-status\[19\]": "the sandbox has no machine that works and is not measured",
    r"b-system-status\[2[01]\]": "the sandbox has no labels of nodes",
    r"b-system-status\[22\]": "the sandbox has no machine that works and is not measured",
    r"b-system-status\[23\]": "needs another sandbox: test_a_cluster_without_metrics",
    r"b-system-status\[2[45]\]": "the sandbox has no deployment of the manager",
    r"v371\[0\]": "lists services that another release made, and was cut",
    r"v371\[36\]": "needs another sandbox: test_a_cluster_without_metrics",
    r"v371\[39\]": "the bucket had been made by another release",
    r"d-services\[27\]": "lists services of other recordings, and was cut",
    r"noimage": "images are not simulated, so none is missing",
    r"mntgray": "images are not simulated, so none has a user and a /tmpfolder",
}
# Where in the requests, what in their answers, and why.
DIFFERENT = {
    (r"/system/info", r"git_commit"): "there is no commit of OSCAR",
    (r"/system/config", r"minio_provider.(access|secret)_key"): "every sandbox has keys of its own",
    (r"a-post-job\[2[89]\]", r"`selector` not auto-generated"): (
        "the rest of the text is about identifiers that Kubernetes makes"
    ),
    (r"6-weird-names\[1[01]\]", r"log without"): "the files that the script read are not there",
    (r"/system/status", r"nodes\[\d\]\.(cpu|memory): the keys are"): (
        "amounts of 0 are left out, and the recorded usage is invented"
    ),
}

# Lines of the logs of jobs that are not compared, and why.
DIFFERENT_LINES = {
    r"[-dl][-rwxt]{9}|total \d": "a job has a single user ID, and no links to versions of files",
    r".* /mnt(/\S+)? (ext4|tmpfs|fuse\.rclone) ": "the mount point is not on the node's disk",
    r"\d{10}\.\d+$": "the time",
    r"/bin/sh -c echo|.*/bwrap ": "the first process of the container is bwrap",
    r"back(\\\\slash\.jpg)?\$$|\['#hash.jpg'": "SeaweedFS takes a backslash for a slash",
    r"_PYI_": "the supervisor is not packed by PyInstaller",
    r"PATH=": "the sandbox's own Python is first",
    r"(HOSTNAME|RESOURCE_ID)=": "names of a pod and of a node",
    r"ls: .*: Input/output error": "seen at some first looks at a new file of a mount only",
    r"Killed$": "the shell says so if it is not killed first",
    r"oscar\{": "the name of the remote of rclone",
}


def is_skipped(exchange: Exchange) -> bool:
    return any(re.search(pattern, exchange.where) for pattern in NOT_REPLAYED)


def is_meant(difference: str) -> bool:
    where, _, what = difference.partition("): ")
    return any(re.search(a, where) and re.search(b, what) for a, b in DIFFERENT)


def take_room(box: Sandbox, _: Path) -> None:
    """What the system's own pods had requested of the two machines."""
    box.deploy({"name": "system", "image": "i", "script": "sleep 300", "cpu": "0.3"})
    for job in ("system-1", "system-2"):
        box.invoke("system", "{}", **{"X-Delegated-Job-ID": job}).raise_for_status()


def end_jobs(box: Sandbox, folder: Path) -> None:
    (folder / "end").touch()
    box.chaos("POST", "nodes/node-2/uncordon")


def fill_observatory(box: Sandbox, *keys: str) -> None:
    """The objects whose names a job lists in its mount."""
    box.minio.make_bucket("observatory")
    for key in keys:
        box.minio.put_object("observatory", key, io.BytesIO(b"x"), 1)


WEIRD = (
    "weird/#hash.jpg",
    "weird/-dash.jpg",
    "weird/.hidden.jpg",
    "weird/UPPER.JPG",
    "weird/a/b/c/deep.jpg",
    "weird/back\\slash.jpg",
    "weird/dollar$HOME.jpg",
    "weird/new\nline.jpg",
    "weird/notes.txt",
    "weird/per%20cent.jpg",
    "weird/plain.jpg",
    "weird/plus+sign.jpg",
    "weird/quo'te\"s.jpg",
    "weird/semi;colon&amp.jpg",
    "weird/star*?[x].jpg",
    "weird/tab\tname.jpg",
    "weird/trailing .jpg",
    "weird/with space.jpg",
    "weird/émoji😀.jpg",
    "weird/ünï-日本.jpg",
)
# What was done beside the API, by the number of the request before which it was done. Jobs that
# slept when they were recorded wait here for the file `end` of a folder.
BEFORE: dict[str, dict[int, Callable[[Sandbox, Path], object]]] = {
    "b-system-status": {
        0: take_room,
        17: lambda box, _: box.chaos("POST", "nodes/node-2/cordon"),
    },
    "b-system-status-notready": {0: lambda box, _: box.kill_node("node-2", unnoticed_s=300)},
    "c-delete": {0: end_jobs},
    "c-pod-deleted": {
        0: lambda _, seen: (seen / "end").unlink(),
        6: lambda box, _: box.evict("hold", "hold-evict"),
    },
    "d-services": {6: lambda box, _: box.minio.make_bucket("manual-bucket")},
    "f-supervisor-and-mount": {0: lambda box, _: fill_observatory(box, "input/photo.jpg")},
    "6-mount-names": {0: lambda box, _: fill_observatory(box, *WEIRD)},
}


@pytest.mark.parametrize("scene", SCENES)
def test_the_sandbox_answers_as_a_real_oscar_did(scene: str, tmp_path: Path) -> None:
    release = "v3.7" if scene.endswith("3.7.1") else "v4.1"
    folder = tmp_path / "seen"
    folder.mkdir()
    arguments = ["--profile", release, "--chaos", "--nodes", NODES]
    arguments += ["--image", f"{IMAGE}={folder}:{FOLDER_SEEN}"]
    with run_sandbox(tmp_path, arguments) as box:
        replay = Replay(box, release, is_skipped, "|".join(DIFFERENT_LINES))
        for file in SCENES[scene]:
            actions = BEFORE.get(file, {})
            replay.play(file, {n: partial(act, box, folder) for n, act in actions.items()})
    found = [each for each in replay.differences if not is_meant(each)]
    assert not found, "\n".join(found)
    assert replay.played


def test_every_recorded_request_is_replayed_or_has_a_reason() -> None:
    files = {str(path.relative_to(FOLDER).with_suffix("")) for path in FOLDER.rglob("*.json")}
    replayed = [file for scene in SCENES.values() for file in scene]
    assert len(replayed) == len(set(replayed))
    every = [each for file in files for each in read_exchanges(file)]
    assert all(is_skipped(each) for each in every if each.file not in replayed)
    for pattern in NOT_REPLAYED:
        assert any(re.search(pattern, each.where) for each in every), pattern
