"""What a run must not write, because it would start jobs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from coordinator.config import Config
from coordinator.credentials import ClusterAccess, StorageAccess
from coordinator.errors import ConfigError
from coordinator.model import Place
from coordinator.preflight import refuse_triggers, warnings
from tests.unit import make

CONFIG = Config(
    storage=StorageAccess("https://minio", "key", "secret"),
    cluster=ClusterAccess("https://oscar", "oscar", "secret"),
    data=Place("data", "input/"),
    service="target",
    index_copy=None,
    headroom=0.2,
    max_parallel=None,
    dry_run=False,
    state=Place("data", ".oscar-batch/"),
    report=None,
)
COPYING = replace(CONFIG, index_copy="input/index.txt")
REPORTING = replace(CONFIG, report=Place("reports", "runs/"))


@pytest.mark.parametrize(
    ("config", "watched", "setting"),
    [
        pytest.param(CONFIG, Place("data", ".oscar-batch/"), "state", id="state folder"),
        pytest.param(CONFIG, Place("data", ""), "state", id="whole bucket"),
        pytest.param(REPORTING, Place("reports", "runs/"), "report", id="report folder"),
        pytest.param(COPYING, Place("data", "input/"), "output.file", id="copy of the index"),
    ],
)
def test_writing_into_an_input_folder_is_refused(
    config: Config, watched: Place, setting: str
) -> None:
    with pytest.raises(ConfigError) as of_target:
        refuse_triggers(config, make.service(inputs=(watched,)))
    with pytest.raises(ConfigError) as of_self:
        refuse_triggers(replace(config, own_inputs=(watched,)), make.service())
    assert of_target.value.problems[0].startswith(f"{setting}: writing {watched.bucket}/")
    assert "this coordinator" in of_self.value.problems[0]


@pytest.mark.parametrize(
    "watched",
    [Place("data", "input/"), Place("other", ".oscar-batch/"), Place("data", ".oscar-batch-2/")],
    ids=["the data itself", "another bucket", "a name that begins alike"],
)
def test_an_input_folder_that_nothing_is_written_to_is_accepted(watched: Place) -> None:
    refuse_triggers(CONFIG, make.service(inputs=(watched,)))


@pytest.mark.parametrize(
    ("config", "outputs", "mount", "said"),
    [
        pytest.param(CONFIG, (Place("data", "input/out/"),), None, "as items", id="outputs inside"),
        pytest.param(CONFIG, (), Place("other", ""), "may not find", id="another mount"),
        pytest.param(CONFIG, (), None, "nothing that it leaves can confirm", id="no trace"),
        pytest.param(
            replace(CONFIG, storage=replace(CONFIG.storage, verify=False)),
            (Place("data", "output/"),),
            None,
            "of MinIO is not verified",
            id="unverified MinIO",
        ),
        pytest.param(
            replace(CONFIG, cluster=replace(CONFIG.cluster, verify=False)),
            (Place("data", "output/"),),
            None,
            "of OSCAR is not verified",
            id="unverified OSCAR",
        ),
    ],
)
def test_what_is_warned_of(
    config: Config, outputs: tuple[Place, ...], mount: Place | None, said: str
) -> None:
    (warning,) = warnings(config, make.service(outputs=outputs, mount=mount))
    assert said in warning


def test_a_sound_service_is_not_warned_of() -> None:
    service = make.service(outputs=(Place("data", "output/"),), mount=Place("data", ""))
    assert warnings(CONFIG, service) == ()


def test_plain_http_has_no_certificate_to_warn_of() -> None:
    plain = replace(CONFIG, storage=StorageAccess("http://minio", "key", "secret", verify=False))
    assert warnings(plain, make.service(outputs=(Place("data", "output/"),))) == ()
