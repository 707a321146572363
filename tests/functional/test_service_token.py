# SPDX-License-Identifier: Apache-2.0
"""The token of a service on a release where every update of the service makes a new one."""

from __future__ import annotations

import pytest

from coordinator.drive.poster import make_post
from coordinator.model.access import ClusterAccess
from coordinator.model.run import Verdict
from coordinator.oscar.client import OscarClient
from tests.functional.conftest import Deploy, Release
from tests.unit import make

pytestmark = pytest.mark.any_storage


def test_a_token_that_an_update_replaced_is_read_again(
    release: Release, deploy_on: Deploy, name: str
) -> None:
    box = release("v3.7")
    definition = {"script": "true", "memory": "64Mi", "owner": "minio"}
    deploy_on(box, **definition)
    oscar = OscarClient(ClusterAccess(box.url, box.username, box.password))
    service = oscar.read_service(name)
    post = make_post(oscar, service)
    first, second, third = make.invocations(3)
    assert post(first).verdict is Verdict.ACCEPTED

    oscar.apply({"name": name, "image": "sandbox", **definition})

    assert oscar.read_service(name).token != service.token
    assert oscar.invoke(service, b"{}", job="old").verdict is Verdict.STALE_TOKEN
    assert [post(each).verdict for each in (second, third)] == 2 * [Verdict.ACCEPTED]
    assert len(box.wait_until_ended(name, 3)) == 3
