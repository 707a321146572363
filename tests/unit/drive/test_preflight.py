# SPDX-License-Identifier: Apache-2.0
"""What a run must not write, and what its user should know before anything starts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from coordinator.config.load import Config
from coordinator.drive.preflight import (
    explain_misfit,
    find_oversized,
    find_warnings,
    refuse_triggers,
    warn_oversized,
    warn_slow_submission,
)
from coordinator.model.access import ClusterAccess, StorageAccess
from coordinator.model.cluster import Basis, Cluster, Node, Resources
from coordinator.model.errors import ConfigError
from coordinator.model.items import Item
from coordinator.model.service import Folder
from tests.unit import make

GIB = 2**30
CONFIG = Config(
    storage=StorageAccess("https://minio", "key", "secret"),
    cluster=ClusterAccess("https://oscar", "oscar", "secret"),
    data=Folder("data", "input/"),
    service="target",
    index_copy=None,
    headroom=0.2,
    max_parallel=None,
    dry_run=False,
    state=Folder("data", ".oscar-batch/"),
    report=None,
)
COPYING = replace(CONFIG, index_copy="input/index.txt")
REPORTING = replace(CONFIG, report=Folder("reports", "runs/"))


@pytest.mark.parametrize(
    ("config", "watched", "setting"),
    [
        pytest.param(CONFIG, Folder("data", ".oscar-batch/"), "state", id="state folder"),
        pytest.param(CONFIG, Folder("data", ""), "state", id="whole bucket"),
        pytest.param(REPORTING, Folder("reports", "runs/"), "report", id="report folder"),
        pytest.param(COPYING, Folder("data", "input/"), "output.file", id="copy of the index"),
    ],
)
def test_writing_into_an_input_folder_is_refused(
    config: Config, watched: Folder, setting: str
) -> None:
    with pytest.raises(ConfigError) as of_target:
        refuse_triggers(config, make.service(inputs=(watched,)))
    with pytest.raises(ConfigError) as of_self:
        refuse_triggers(replace(config, own_inputs=(watched,)), make.service())
    assert of_target.value.problems[0].startswith(f"{setting}: writing {watched.bucket}/")
    assert "this coordinator" in of_self.value.problems[0]


def test_a_service_that_would_trigger_itself_is_refused() -> None:
    looping = make.service(inputs=(Folder("out", "all/"),), outputs=(Folder("out", "all/new/"),))
    with pytest.raises(ConfigError, match=r"out/all/new/<output> would start jobs.*another output"):
        refuse_triggers(CONFIG, looping)


def test_reports_of_the_coordinator_must_not_trigger_the_service() -> None:
    target = make.service(inputs=(Folder("oscar-batch", "out/"),))
    config = replace(CONFIG, own_outputs=(Folder("oscar-batch", "out/"),))
    with pytest.raises(ConfigError, match="give the coordinator's service another output folder"):
        refuse_triggers(config, target)


@pytest.mark.parametrize(
    "watched",
    [Folder("data", "input/"), Folder("other", ".oscar-batch/"), Folder("data", ".oscar-batch-2/")],
    ids=["the data itself", "another bucket", "a name that begins alike"],
)
def test_an_input_folder_that_nothing_is_written_to_is_accepted(watched: Folder) -> None:
    refuse_triggers(CONFIG, make.service(inputs=(watched,)))


@pytest.mark.parametrize(
    ("config", "outputs", "mount", "said"),
    [
        pytest.param(
            CONFIG, (Folder("data", "input/out/"),), None, "as items", id="outputs inside"
        ),
        pytest.param(CONFIG, (), Folder("other", ""), "may not find", id="another mount"),
        pytest.param(CONFIG, (), None, "nothing that it leaves can confirm", id="no trace"),
        pytest.param(
            replace(CONFIG, storage=replace(CONFIG.storage, verify=False)),
            (Folder("data", "output/"),),
            None,
            "of MinIO is not verified",
            id="unverified MinIO",
        ),
        pytest.param(
            replace(CONFIG, cluster=replace(CONFIG.cluster, verify=False)),
            (Folder("data", "output/"),),
            None,
            "of OSCAR is not verified",
            id="unverified OSCAR",
        ),
    ],
)
def test_what_is_warned_of(
    config: Config, outputs: tuple[Folder, ...], mount: Folder | None, said: str
) -> None:
    (warning,) = find_warnings(config, make.service(outputs=outputs, mount=mount))
    assert said in warning


def test_a_sound_service_is_not_warned_of() -> None:
    service = make.service(outputs=(Folder("data", "output/"),), mount=Folder("data", ""))
    assert find_warnings(CONFIG, service) == ()


def test_plain_http_has_no_certificate_to_warn_of() -> None:
    plain = replace(CONFIG, storage=StorageAccess("http://minio", "key", "secret", verify=False))
    assert find_warnings(plain, make.service(outputs=(Folder("data", "output/"),))) == ()


def nodes(*sizes: Resources, virtual: bool = False) -> Cluster:
    made = [
        Node(f"wn-{n}", Resources(0, 0), size=size, virtual=virtual)
        for n, size in enumerate(sizes, start=1)
    ]
    return Cluster(tuple(made), Basis.REQUESTS)


@pytest.mark.parametrize(
    ("cluster", "said"),
    [
        pytest.param(nodes(Resources(1000, GIB)), "", id="fits exactly"),
        pytest.param(nodes(Resources(999, GIB), Resources(8000, GIB)), "", id="fits on one"),
        pytest.param(nodes(), "", id="no node is known"),
        pytest.param(
            nodes(Resources(500, GIB), Resources(900, GIB)),
            "wn-2 comes nearest and lacks 0.1 CPU",
            id="cpu",
        ),
        pytest.param(
            nodes(Resources(500, GIB // 2), Resources(4000, GIB // 4)),
            "wn-2 comes nearest and lacks 768 MiB of memory",
            id="memory",
        ),
        pytest.param(
            nodes(Resources(500, GIB // 2)),
            "wn-1 comes nearest and lacks 0.5 CPU and 512 MiB of memory",
            id="both",
        ),
    ],
)
def test_a_service_larger_than_every_node_is_told_with_the_nearest(
    cluster: Cluster, said: str
) -> None:
    problem = explain_misfit(cluster, make.service())
    assert said in problem
    assert bool(problem) == bool(said)


def test_a_virtual_node_makes_no_room() -> None:
    assert explain_misfit(nodes(Resources(1000, GIB), virtual=True), make.service()) == ""


@pytest.mark.parametrize(
    ("scratch_bytes", "mount", "expected"),
    [
        pytest.param(0, None, ["two", "huge"], id="memory"),
        pytest.param(GIB // 2, None, ["one", "two", "huge"], id="disk"),
        pytest.param(GIB // 2, Folder("data", ""), ["two", "huge"], id="a mount needs no disk"),
    ],
)
def test_items_that_an_invocation_can_hardly_hold_are_listed(
    scratch_bytes: int, mount: Folder | None, expected: list[str]
) -> None:
    sizes = {"small": 1, "one": GIB, "two": GIB + 1, "huge": 9 * GIB}
    largest = tuple(Item(key, size) for key, size in sizes.items())
    service = replace(make.service(mount=mount), scratch_bytes=scratch_bytes)
    found = find_oversized(replace(make.index([1]), largest=largest), service)
    assert [item.key for item in found] == expected


def test_oversized_items_are_named_in_one_warning() -> None:
    items = tuple(Item(f"input/{n}.tif", (n + 1) * GIB) for n in range(9, 0, -1))
    (warning,) = warn_oversized(items, make.service())
    assert "input/9.tif (10 GiB), input/8.tif (9 GiB), input/7.tif (8 GiB) and 6 more" in warning
    assert "larger than the 1 GiB of memory" in warning
    assert warn_oversized((), make.service()) == ()


@pytest.mark.parametrize(("chunks", "hours"), [(2000, ""), (10_000, "1.9 h")])
def test_a_long_submission_is_warned_of(chunks: int, hours: str) -> None:
    found = warn_slow_submission(chunks)
    assert bool(found) == bool(hours)
    assert all(hours in warning for warning in found)
