# SPDX-License-Identifier: Apache-2.0
"""The event of an item starts an unmodified service on that item, on every release."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime

import pytest

from coordinator.drive.bodies.event import write_event_body
from sandbox.handle import wait_until
from tests.functional.conftest import Deploy, Release
from tests.functional.coordination import content, fill, keys_of

# As scripts for uploads are: it knows its input file and nothing else.
COPY = 'cp "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR/"\n'
KEYS = ["in/plain.txt", "in/2024/a b+c%2F&d.txt", "in/*/ü日本 'q' \"x\" $HOME.txt"]


@pytest.mark.any_storage
@pytest.mark.parametrize("owner", ["", "minio"])
@pytest.mark.parametrize("profile", ["v3.5", "v3.7", "v4.1"])
def test_an_event_starts_a_job_on_its_item(
    release: Release, deploy_on: Deploy, name: str, profile: str, owner: str
) -> None:
    box = release(profile)
    data, path = f"{name}-data", f"{name}-out/done"
    fill(box, data, [])
    folders = {"input": [{"path": f"{name}-in/in"}], "output": [{"path": path}]}
    service = deploy_on(box, COPY, **folders, **({"owner": owner} if owner else {}))
    for number, key in enumerate(KEYS):
        box.minio.put_object(data, key, io.BytesIO(b"%d" % number), 1)
        body = write_event_body(data, key, service["owner"], datetime.now(UTC))
        assert box.invoke(name, body).status_code == 201
    box.wait_until_ended(name, len(KEYS))
    found = {key: content(box, f"{name}-out", key) for key in keys_of(box, f"{name}-out")}
    names = [key.rpartition("/")[2] for key in KEYS]
    assert found == {f"done/{each}": b"%d" % number for number, each in enumerate(names)}


@pytest.mark.any_storage
def test_an_event_of_an_unknown_user_never_starts(
    release: Release, deploy_on: Deploy, name: str
) -> None:
    """Why the user that an event names is chosen with care."""
    box = release("v3.5")
    fill(box, f"{name}-data", ["in/a"])
    deploy_on(box, COPY, input=[{"path": f"{name}-in/in"}], output=[{"path": f"{name}-out/o"}])
    good = write_event_body(f"{name}-data", "in/a", "", datetime.now(UTC))
    body = json.loads(good)
    body["Records"][0]["requestParameters"]["principalId"] = "nobody"
    assert box.invoke(name, json.dumps(body)).status_code == 201
    assert box.invoke(name, good).status_code == 201
    wait_until(lambda: keys_of(box, f"{name}-out"), 20, lambda: str(box.list_jobs(name)))
    states = sorted(job["status"] for job in box.list_jobs(name).values())
    assert states[0] == "Pending"
