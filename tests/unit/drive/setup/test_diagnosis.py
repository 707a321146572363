# SPDX-License-Identifier: Apache-2.0
"""What a diagnosis says of each point, with storage and OSCAR in memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from coordinator.drive.setup.diagnosis import Reach, diagnose
from coordinator.drive.setup.findings import Finding, State
from coordinator.model.cluster import Cluster
from coordinator.model.errors import ClusterError, NoStatus
from coordinator.model.service import Folder, Service, Trigger
from coordinator.run.layout import RunLayout
from tests.unit import make
from tests.unit.fakes import NOW, FakeBucket, FakeOscar
from tests.unit.test_batch import load

KIT = replace(
    make.service(outputs=(Folder("results", "out/"),), mount=Folder("data", "")),
    has_kit=True,
    kit_release="9.1",
)
COORDINATOR = replace(
    make.service(inputs=(Folder("oscar-batch", "in/"),)), name="oscar-batch", is_coordinator=True
)


class Cloud(FakeOscar):
    """A cluster with a target and the coordinator."""

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self.coordinator: Service | None = COORDINATOR
        self.status_error: ClusterError | None = None

    def read_service(self, name: str) -> Service:
        if name == "oscar-batch":
            if self.coordinator is None:
                raise ClusterError("no such service")
            return self.coordinator
        return super().read_service(name)

    def read_cluster(self) -> Cluster:
        if self.status_error:
            raise self.status_error
        return super().read_cluster()


class World:
    """One diagnosis in memory."""

    def __init__(self, service: Service = KIT) -> None:
        self.data = FakeBucket("data", {"in/a": b"x"})
        self.trigger = FakeBucket("oscar-batch")
        self.data.others["oscar-batch"] = self.trigger
        self.oscar = Cloud(service)
        self.now = NOW

    def find(self, name: str, **sections: Any) -> list[tuple[str, str]]:
        """The states and sentences of one point, in order."""
        return [
            (str(each.state), f"{each.said} {each.advice}".strip())
            for each in self.findings(**sections)
            if each.name == name
        ]

    def findings(self, **sections: Any) -> list[Finding]:
        config = load(**sections)
        reach = Reach(
            self.oscar,
            self.data,
            self.data,
            lambda access, name: self.data,
            lambda: self.now,
            "9.1",
        )
        layout = RunLayout(config.locations, make.RUN_ID)
        before = dict(self.data.objects)
        steps = list(diagnose(config, reach, layout, "oscar-batch"))
        assert self.data.objects == before  # the probe is removed
        return [finding for step in steps for finding in step]


def test_of_a_good_setting_nothing_is_bad() -> None:
    world = World()
    world.trigger.notifications = [("arn:minio:sqs::oscar-batch:webhook", "in/")]
    assert {each.state for each in world.findings()} == {State.GOOD}


def test_certificates_that_are_not_verified_are_a_warning() -> None:
    minio = {"url": "m", "access_key": "k", "secret_key": "s", "verify": False}
    ((state, said),) = World().find("TLS", MinIO=minio)
    assert (state, "of MinIO is not verified" in said) == ("warning", True)


def test_a_server_without_tls_is_a_warning() -> None:
    minio = {"url": "http://m", "access_key": "k", "secret_key": "s"}
    assert World().find("TLS", MinIO=minio)[0][0] == "warning"


@pytest.mark.parametrize(
    ("known", "state", "said"),
    [
        ((4, 1), "good", "can be repeated"),
        ((3, 7), "good", "cannot"),
        (None, "warning", "but not with its release"),
    ],
)
def test_the_release_is_said(known: tuple[int, int] | None, state: str, said: str) -> None:
    world = World()
    world.oscar.release = known
    ((found, text),) = world.find("OSCAR")
    assert (found, said in text) == (state, True)


@pytest.mark.parametrize("wrote", ["9.0", ""])
def test_a_kit_of_another_release_is_a_warning(wrote: str) -> None:
    ((state, said),) = World(replace(KIT, kit_release=wrote)).find("worker kit")
    assert (state, "write it again" in said) == (("warning", True) if wrote else ("good", False))


def test_a_service_that_no_mode_suits_is_bad() -> None:
    world = World(make.service())
    assert [state for state, _ in world.find("mode")] == ["bad"]


def test_without_rights_to_the_status_max_parallel_is_asked_for() -> None:
    world = World()
    world.oscar.status_error = NoStatus("OSCAR reports no status")
    ((state, said),) = world.find("status")
    assert (state, "set plan.max_parallel" in said) == ("bad", True)
    ((state, _),) = world.find("status", plan={"max_parallel": 3})
    assert state == "warning"


@pytest.mark.parametrize(("seconds", "state"), [(-29, "good"), (31, "warning"), (-31, "warning")])
def test_the_clocks_are_compared(seconds: int, state: str) -> None:
    world = World()
    world.now = NOW + timedelta(seconds=seconds)
    ((found, said),) = world.find("clock")
    assert (found, f"by {abs(seconds)} s" in said) == (state, True)


def test_a_storage_without_conditional_writes_is_a_warning_in_pull_mode_only() -> None:
    world = World()
    world.data.exclusive = False
    assert [state for state, _ in world.find("conditional writes")] == ["warning"]
    assert world.find("conditional writes", service={"name": "target", "mode": "range"}) == []


def test_nothing_is_probed_where_writing_would_start_jobs() -> None:
    world = World()
    world.data.broken.add("write")
    world.oscar.triggers = (Trigger(Folder("data", ".oscar-batch/"), "service other"),)
    states = [state for state, _ in world.find("run folder")]
    assert states == ["bad", "unknown"]
    assert world.find("storage") == []


def test_input_folders_that_cannot_be_listed_are_said() -> None:
    world = World()
    world.oscar.triggers = ClusterError("could not list the services")
    assert [state for state, _ in world.find("run folder")] == ["warning", "good"]


def test_a_bucket_that_cannot_be_written_is_bad() -> None:
    world = World()
    world.data.broken.add("write")
    assert "bad" in [state for state, _ in world.find("storage")]


def test_a_manifest_is_looked_for() -> None:
    world = World()
    ((state, _),) = world.find("data", bucket={"manifest": "gone.csv"})
    assert state == "bad"
    world.data.objects["list.csv"] = b"key\n"
    ((state, _),) = world.find("data", bucket={"manifest": "list.csv"})
    assert state == "good"


@pytest.mark.parametrize(
    ("told", "state"),
    [
        pytest.param([("arn:minio:sqs::oscar-batch:webhook", "in/")], "good", id="it"),
        pytest.param([("arn:minio:sqs::oscar-batch:webhook", "")], "good", id="of all folders"),
        pytest.param([("arn:minio:sqs::other:webhook", "in/")], "bad", id="another service"),
        pytest.param([("arn:minio:sqs::oscar-batch:webhook", "out/")], "bad", id="another folder"),
        pytest.param([], "bad", id="nobody"),
        pytest.param(None, "unknown", id="not MinIO"),
    ],
)
def test_the_trigger_folder_tells_the_coordinator(
    told: list[tuple[str, str]] | None, state: str
) -> None:
    world = World()
    world.trigger.notifications = told
    assert [found for found, _ in world.find("notifications")] == [state]


def test_without_the_coordinators_service_a_run_still_works() -> None:
    world = World()
    world.oscar.coordinator = None
    ((state, said),) = world.find("notifications")
    assert (state, "fdl/coordinator.yaml" in said) == ("warning", True)
