# SPDX-License-Identifier: Apache-2.0
"""What a run must not write, and what its user should know before anything starts."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace

import pytest

from coordinator.drive.entering.preflight import (
    find_warnings,
    refuse_buckets,
    refuse_coordinator,
    refuse_triggers,
    refuse_unsuited_keys,
    warn_control_characters,
    warn_oversized,
    warn_slow_submission,
    warn_unverified,
)
from coordinator.model.access import ClusterAccess, StorageAccess
from coordinator.model.errors import ConfigError
from coordinator.model.items import Item
from coordinator.model.selection import Outputs
from coordinator.model.service import Folder, Locations, Mode, Service, Trigger
from tests.unit import make

GIB = 2**30
DATA = Folder("data", "input/")
LOCATIONS = Locations(data=DATA, state=Folder("data", ".oscar-batch/"))
COPYING = replace(LOCATIONS, index_copy="input/index.txt")
REPORTING = replace(LOCATIONS, report=Folder("reports", "runs/"))
STORAGE = StorageAccess("https://minio", "key", "secret")
CLUSTER = ClusterAccess("https://oscar", "oscar", "secret")


def refuse(locations: Locations, service: Service, others: Sequence[Trigger] = ()) -> None:
    refuse_triggers(locations, service, others, make.RUN_ID)


@pytest.mark.parametrize(
    ("locations", "watched", "setting"),
    [
        pytest.param(LOCATIONS, Folder("data", ".oscar-batch/"), "state", id="state folder"),
        pytest.param(LOCATIONS, Folder("data", ""), "state", id="whole bucket"),
        pytest.param(REPORTING, Folder("reports", "runs/"), "report", id="report folder"),
        pytest.param(COPYING, Folder("data", "input/"), "output.file", id="copy of the index"),
    ],
)
def test_writing_into_an_input_folder_is_refused(
    locations: Locations, watched: Folder, setting: str
) -> None:
    with pytest.raises(ConfigError) as of_target:
        refuse(locations, make.service(inputs=(watched,)))
    with pytest.raises(ConfigError) as of_another:
        refuse(locations, make.service(), [Trigger(watched, "service other")])
    assert "an input folder of service other" in of_another.value.problems[0]
    with pytest.raises(ConfigError) as of_self:
        refuse(replace(locations, own_inputs=(watched,)), make.service())
    assert of_target.value.problems[0].startswith(f"{setting}: writing {watched.bucket}/")
    assert "this coordinator" in of_self.value.problems[0]


@pytest.mark.parametrize(
    ("copy", "state", "watched"),
    [
        pytest.param("input/sub\\index.txt", ".s/", "input/sub/", id="a backslash"),
        pytest.param("input//sub/index.txt", ".s/", "input/sub/", id="an empty part"),
        pytest.param("input/./sub/index.txt", ".s/", "input/sub/", id="a dot"),
        pytest.param("input/x/../../up/index.txt", ".s/", "up/", id="two dots"),
        pytest.param("input/index.txt", "in\\state/", "in/", id="the state folder"),
        pytest.param("input/index.txt", ".s/", "/input//", id="the folder of the service"),
        pytest.param("input/index.txt", ".s/", ".s/active/", id="below the state folder"),
    ],
)
def test_no_spelling_gets_a_key_into_an_input_folder(copy: str, state: str, watched: str) -> None:
    locations = replace(LOCATIONS, index_copy=copy, state=Folder("data", state))
    with pytest.raises(ConfigError, match="would start jobs"):
        refuse(locations, make.service(), [Trigger(Folder("data", watched), "service other")])


def test_an_input_folder_that_is_named_like_the_run_holds_its_report() -> None:
    locations = replace(LOCATIONS, report=Folder("reports", ""))
    named = Trigger(Folder("reports", f"{make.RUN_ID}/"), "service other")
    beside = Trigger(Folder("reports", "in/"), "service other")
    refuse(locations, make.service(), [beside])
    with pytest.raises(ConfigError, match="report: writing reports/"):
        refuse(locations, make.service(), [named])


def test_outputs_of_the_target_may_start_other_services() -> None:
    service = make.service(outputs=(Folder("data", "out/"),))
    refuse(LOCATIONS, service, [Trigger(Folder("data", "out/"), "service next")])


@pytest.mark.parametrize(
    ("own_inputs", "is_coordinator", "refused"),
    [
        ((), True, True),
        ((Folder("oscar-batch", "in/"),), False, True),
        ((Folder("another", "in/"),), False, False),
    ],
)
def test_a_coordinator_is_no_target(
    own_inputs: tuple[Folder, ...], is_coordinator: bool, refused: bool
) -> None:
    service = make.service(inputs=(Folder("oscar-batch", "in/"),))
    locations = replace(LOCATIONS, own_inputs=own_inputs)
    with pytest.raises(ConfigError, match="is a coordinator") if refused else nullcontext():
        refuse_coordinator(locations, replace(service, is_coordinator=is_coordinator))


ALL = ["bucket.name", "state.bucket", "report.bucket", "bucket.skip_done.bucket"]


@pytest.mark.parametrize(
    ("bucket", "allowed", "settings"),
    [
        ("in", (), []),
        ("out", (), []),
        ("mounted", (), []),
        ("listed", (), []),
        ("own-in", (), []),
        ("own-out", (), []),
        ("private", (), ALL),
        ("private", None, []),
        ("private", ("pub*", "priv*"), []),
        ("private", ("pub*", "PRIV*"), ALL),
        ("inner", ("in",), ALL),
    ],
)
def test_the_services_own_credentials_are_used_for_buckets_of_the_target_only(
    bucket: str, allowed: tuple[str, ...] | None, settings: list[str]
) -> None:
    service = make.service(
        inputs=(Folder("in", ""),), outputs=(Folder("out", "x/"),), mount=Folder("mounted", "")
    )
    service = replace(service, data_buckets=("listed",))
    own = replace(
        Locations(data=Folder("in", "x/"), state=Folder("in", "y/"), report=Folder("in", "z/")),
        own_inputs=(Folder("own-in", ""),),
        own_outputs=(Folder("own-out", ""),),
    )
    found: list[str] = []
    for setting in ("data", "state", "report", "outputs"):
        outputs = Outputs("x/", "y/", bucket=bucket) if setting == "outputs" else None
        places = {} if outputs else {setting: Folder(bucket, "x/")}
        locations = replace(own, **places)  # type: ignore[arg-type]
        try:
            refuse_buckets(locations, {"bucket.skip_done": outputs}, service, allowed)
        except ConfigError as error:
            found += [problem.partition(":")[0] for problem in error.problems]
    assert found == settings


def test_a_service_that_would_trigger_itself_is_refused() -> None:
    looping = make.service(inputs=(Folder("out", "all/"),), outputs=(Folder("out", "all/new/"),))
    with pytest.raises(ConfigError, match=r"out/all/new/<output> would start jobs.*another output"):
        refuse(LOCATIONS, looping)


def test_reports_of_the_coordinator_must_not_trigger_the_service() -> None:
    target = make.service(inputs=(Folder("oscar-batch", "out/"),))
    locations = replace(LOCATIONS, own_outputs=(Folder("oscar-batch", "out/"),))
    with pytest.raises(ConfigError, match="give the coordinator's service another output folder"):
        refuse(locations, target)


@pytest.mark.parametrize(
    "watched",
    [Folder("data", "input/"), Folder("other", ".oscar-batch/"), Folder("data", ".oscar-batch-2/")],
    ids=["the data itself", "another bucket", "a name that begins alike"],
)
def test_an_input_folder_that_nothing_is_written_to_is_accepted(watched: Folder) -> None:
    refuse(LOCATIONS, make.service(inputs=(watched,)))


@pytest.mark.parametrize(
    ("outputs", "mount", "said"),
    [
        pytest.param((Folder("data", "input/out/"),), None, "as items", id="outputs inside"),
        pytest.param((), Folder("other", ""), "may not find", id="another mount"),
        pytest.param((), None, "nothing that it leaves can confirm", id="no trace"),
    ],
)
def test_what_is_probably_not_meant_is_warned_of(
    outputs: tuple[Folder, ...], mount: Folder | None, said: str
) -> None:
    (warning,) = find_warnings(DATA, make.service(outputs=outputs, mount=mount))
    assert said in warning


@pytest.mark.parametrize(
    ("hides", "mount", "kit", "warned"),
    [
        (True, Folder("data", ""), False, True),
        (False, Folder("data", ""), False, False),
        (True, None, False, False),
        (True, Folder("data", ""), True, False),
    ],
)
def test_a_log_level_that_hides_progress_is_only_warned_of(
    hides: bool, mount: Folder | None, kit: bool, warned: bool
) -> None:
    service = make.service(outputs=(Folder("results", ""),), mount=mount)
    found = find_warnings(DATA, replace(service, hides_output=hides, has_kit=kit))
    assert ["log_level: DEBUG" in each for each in found] == [True] * warned


def test_a_sound_service_is_not_warned_of() -> None:
    service = make.service(outputs=(Folder("data", "output/"),), mount=Folder("data", ""))
    assert find_warnings(DATA, service) == ()


@pytest.mark.parametrize(
    ("storage", "cluster", "named"),
    [
        pytest.param(replace(STORAGE, verify=False), CLUSTER, ["MinIO"], id="storage"),
        pytest.param(STORAGE, replace(CLUSTER, verify=False), ["OSCAR"], id="cluster"),
        pytest.param(STORAGE, CLUSTER, [], id="both are verified"),
        pytest.param(
            replace(STORAGE, url="http://minio", verify=False), CLUSTER, [], id="no certificate"
        ),
    ],
)
def test_a_server_whose_certificate_is_not_verified_is_warned_of(
    storage: StorageAccess, cluster: ClusterAccess, named: list[str]
) -> None:
    warnings = warn_unverified(storage, cluster)
    assert [warning.split()[4] for warning in warnings] == named


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


@pytest.mark.parametrize(
    ("keys", "mount", "warned"),
    [(0, Folder("data", ""), False), (2, None, False), (2, Folder("data", ""), True)],
)
def test_keys_that_a_mount_shows_differently_are_counted(
    keys: int, mount: Folder | None, warned: bool
) -> None:
    found = warn_control_characters(keys, make.service(mount=mount))
    assert [text.split(" contain")[0] for text in found] == ["2 of the keys"] * warned


@pytest.mark.parametrize("mode", [Mode.PULL, Mode.EVENT])
def test_a_template_is_for_range_mode(mode: Mode) -> None:
    with pytest.raises(ConfigError, match=rf"service\.payload: .* has the mode {mode}"):
        refuse_unsuited_keys(mode, payload=True, watch=True)


def test_event_mode_must_be_watched() -> None:
    with pytest.raises(ConfigError, match=r"run\.watch: event mode"):
        refuse_unsuited_keys(Mode.EVENT, payload=False, watch=False)


@pytest.mark.parametrize("mode", [Mode.RANGE, None])
def test_range_mode_takes_both_keys(mode: Mode | None) -> None:
    refuse_unsuited_keys(mode, payload=True, watch=False)
    refuse_unsuited_keys(Mode.PULL, payload=False, watch=False)
