# SPDX-License-Identifier: Apache-2.0
"""Service definitions and quotas as OSCAR answers them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from coordinator.cli.verbs.kit import SHELL_WORKER, find_worker, write_script, write_shell_script
from coordinator.model.cluster import Allowance, Quota, Resources
from coordinator.model.errors import ClusterError
from coordinator.model.service import Folder
from coordinator.oscar import definition

FULL: dict[str, Any] = {
    "name": "target",
    "cpu": "1.5",
    "memory": "3Gi",
    "total_cpu": "12",
    "total_memory": "24Gi",
    "ephemeral_storage_request": "500Mi",
    "enable_gpu": True,
    "token": "t",
    "owner": "alice",
    "input": [{"storage_provider": "minio.default", "path": "in/put"}],
    "output": [{"storage_provider": "minio.default", "path": "out/put"}],
    "mount": {"storage_provider": "", "path": ""},
}
QUOTA: dict[str, Any] = {
    "user_id": "alice",
    "cluster_queue": "oscar-cq-alice",
    "resources": {
        "cpu": {"max": 2000, "used": 200},
        "memory": {"max": 2147483648, "used": 268435456},
        "ephemeral-storage": {"max": 1073741824, "used": 0},
        "gpu": {"max": 0, "used": 0},
    },
}


def test_a_full_definition() -> None:
    service = definition.parse_service(FULL)
    assert service.needs == Resources(1500, 3 * 2**30, 1)
    assert service.total == Allowance(12_000, 24 * 2**30)
    assert (service.scratch_bytes, service.owner, service.mount) == (500 * 2**20, "alice", None)
    assert (service.inputs, service.outputs) == ((Folder("in", "put/"),), (Folder("out", "put/"),))


@pytest.mark.parametrize(
    ("level", "hides"), [("DEBUG", False), ("INFO", True), ("", True), (None, True)]
)
def test_a_log_level_above_debug_hides_what_a_script_prints(level: str | None, hides: bool) -> None:
    assert definition.parse_service({**FULL, "log_level": level}).hides_output is hides


@pytest.mark.parametrize("empty", ["", None], ids=["empty", "null"])
def test_what_is_left_out_has_oscars_default_or_no_bound(empty: str | None) -> None:
    raw = {key: empty for key in FULL if key != "name"}
    service = definition.parse_service({**raw, "name": "target"})
    assert service.needs == Resources(200, 256 * 2**20)
    assert (service.total, service.scratch_bytes) == (Allowance(), 0)


@pytest.mark.parametrize(
    "key", ["cpu", "memory", "total_cpu", "total_memory", "ephemeral_storage_request"]
)
def test_an_unusable_quantity_names_the_service(key: str) -> None:
    with pytest.raises(ClusterError, match="service target has an unusable"):
        definition.parse_service({**FULL, key: "much"})


@pytest.mark.parametrize(
    ("key", "value"),
    [("cpu", "-1"), ("cpu", "1e12"), ("memory", "-1Gi"), ("memory", "3Ei")],
)
def test_an_amount_that_no_node_can_have_is_refused(key: str, value: str) -> None:
    with pytest.raises(ClusterError, match=r"service target .* is not a possible amount"):
        definition.parse_service({**FULL, key: value})


def test_the_node_of_an_interlink_service_and_sgx_are_read() -> None:
    service = definition.parse_service({**FULL, "interlink_node_name": "vk", "enable_sgx": True})
    assert (service.interlink_node, service.sgx) == ("vk", True)


@pytest.mark.parametrize(
    ("changed", "left"),
    [
        ({}, Allowance(1800, 1879048192, 0, 1073741824)),
        ({"resources": {"cpu": {"max": 100, "used": 300}}}, Allowance(cpu_millicores=0)),
        ({"resources": {"cpu": {}}}, Allowance(cpu_millicores=0)),
        ({"resources": None}, Allowance()),
    ],
    ids=["all", "overdrawn", "omitted zeros", "volumes only"],
)
def test_a_quota_is_what_is_left(changed: dict[str, Any], left: Allowance) -> None:
    assert definition.parse_quota({**QUOTA, **changed}) == Quota("alice", left)


@pytest.mark.parametrize(
    "resources", [[], ["cpu"], {"cpu": 5}, {"cpu": {"max": "many"}}], ids=["", "list", "n", "text"]
)
def test_a_quota_of_another_form_is_an_error_or_no_bound(resources: object) -> None:
    if not resources:
        assert definition.parse_quota({"resources": resources}).left == Allowance()
        return
    with pytest.raises(ClusterError):
        definition.parse_quota({"resources": resources})


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("#!/bin/sh\n# oscar-batch worker 1\npython3 -\n", True),
        ("\t# oscar-batch worker 1 \r\necho\r\n", True),
        ("# oscar-batch worker 1", True),
        ("# oscar-batch worker 2\n", False),
        ("echo '# oscar-batch worker 1'\n", False),
        ("# not oscar-batch worker 1\n", False),
        ("", False),
        (None, False),
        (7, False),
    ],
)
def test_the_kit_is_known_by_its_marker(script: object, found: bool) -> None:
    assert definition.parse_service({"name": "target", "script": script}).has_kit is found


def test_the_worker_in_sh_keeps_to_its_lane() -> None:
    shell = write_shell_script(find_worker(SHELL_WORKER).read_text("utf-8"), "x")
    python = write_script(
        find_worker().read_text("utf-8"), command="x", stdin=None, module=None, jobs=1
    )
    found = [definition.parse_service({"script": script}) for script in (shell, python)]
    assert [(service.has_kit, service.keeps_lane) for service in found] == [
        (True, True),
        (True, False),
    ]


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("exec python3 -u -m coordinator run \\\n  x\n", True),
        ("python3 -m oscar_batch run x", True),
        ("  oscar-batch run config.json\n", True),
        ("# started by oscar-batch run\npython3 -\n", False),
        ("oscar-batch validate x\n", False),
    ],
)
def test_a_coordinator_is_known_by_what_its_script_does(script: str, found: bool) -> None:
    assert definition.parse_service({"script": script}).is_coordinator is found


def test_a_script_with_the_kit_is_no_coordinator() -> None:
    """The worker names the command in a message."""
    script = write_script(
        find_worker().read_text("utf-8"), command="x", stdin=None, module=None, jobs=1
    )
    service = definition.parse_service({"script": script})
    assert (service.has_kit, service.is_coordinator) == (True, False)


def test_the_script_of_the_coordinator_is_known() -> None:
    script = (Path(__file__).parents[3] / "script.sh").read_text(encoding="utf-8")
    assert definition.parse_service({"script": script}).is_coordinator


@pytest.mark.parametrize(
    ("environment", "buckets"),
    [
        ({"variables": {"OSCAR_BATCH_DATA": "a, b,"}}, ("a", "b")),
        ({"Variables": {"OSCAR_BATCH_DATA": "a"}}, ("a",)),
        ({"variables": {"OTHER": "a"}}, ()),
        ({"variables": "a"}, ()),
        (None, ()),
        ("a", ()),
    ],
)
def test_the_buckets_that_an_owner_lists_for_his_data(
    environment: object, buckets: tuple[str, ...]
) -> None:
    assert definition.parse_service({"environment": environment}).data_buckets == buckets


@pytest.mark.parametrize("mount", ["data", 7, ["data"], {"path": ""}, {}])
def test_a_mount_of_another_type_is_none(mount: object) -> None:
    assert definition.parse_service({"mount": mount}).mount is None


def test_the_input_folders_of_all_services_are_found_in_one_list() -> None:
    services = [
        {"name": "one", "input": [{"path": "a/in"}, {"path": "/b/"}, {"storage_provider": "x"}]},
        {"name": "two", "input": None},
        {"name": "three\n", "input": [{"path": "c"}]},
        "no definition",
    ]
    found = definition.parse_triggers(services)
    assert [(str(each.folder), each.owner) for each in found] == [
        ("a/in/", "service one"),
        ("b/", "service one"),
        ("c/", "service three"),
    ]


@pytest.mark.parametrize("token", ["a\r\nHost: x", "\u0100", "a b", "\ud800"])
def test_a_token_that_no_header_can_hold_is_refused(token: str) -> None:
    with pytest.raises(ClusterError, match="a token that no request can carry"):
        definition.parse_service({"name": "x", "token": token})


def test_a_quota_without_end_is_unreadable() -> None:
    with pytest.raises(ClusterError, match="unreadable value"):
        definition.parse_quota({"resources": {"cpu": {"max": float("inf"), "used": 10}}})


@pytest.mark.parametrize(
    ("script", "release"),
    [
        (
            "#!/bin/sh\n# oscar-batch worker 1\n# Written by oscar-batch 0.2.0: oscar-batch kit",
            "0.2.0",
        ),
        ("# oscar-batch worker 1\n", ""),
        ('echo "# Written by oscar-batch 0.2.0: x"', ""),
    ],
)
def test_a_script_says_which_release_wrote_it(script: str, release: str) -> None:
    assert definition.parse_service({"name": "a", "script": script}).kit_release == release


def test_a_list_of_services_leaves_out_what_is_none() -> None:
    raw = [{"name": "a"}, "text", {}, {"name": "b", "cpu": "many"}, {"name": "c"}]
    assert [each.name for each in definition.parse_services(raw)] == ["a", "c"]
