# SPDX-License-Identifier: Apache-2.0
"""The config file: accepted forms, defaults, and every problem at once with its path."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from coordinator.config.credentials import Platform
from coordinator.config.document import MAX_BYTES
from coordinator.config.load import Config, load_config
from coordinator.model.access import ClusterAccess, StorageAccess
from coordinator.model.cluster import CapacityRules
from coordinator.model.errors import ConfigError
from coordinator.model.planning import ChunkRules, Cost
from coordinator.model.selection import Rules, Selection
from coordinator.model.service import Folder, Locations, Mode

DATA = Path(__file__).parents[2] / "data"
FIRST_TOOL = (DATA / "config_first_tool.json").read_bytes()
OFFERED = Platform(
    storages=(StorageAccess("https://minio.example.org", "key", "canary-offered"),),
    clusters=(ClusterAccess("https://oscar.example.org", "oscar", "canary-offered"),),
)
BARE: dict[str, Any] = {"bucket": {"name": "data"}, "service": {"name": "target"}}


def config(platform: Platform = OFFERED, **sections: Any) -> Config:
    return load_config(json.dumps({**BARE, **sections}).encode(), platform)


def problems(content: bytes, platform: Platform = OFFERED) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load_config(content, platform)
    return caught.value.problems


def problem(**sections: Any) -> str:
    (only,) = problems(json.dumps({**BARE, **sections}).encode())
    return only


def test_the_first_tools_template_runs_unchanged() -> None:
    read = load_config(FIRST_TOOL, Platform())
    assert read == Config(
        storage=StorageAccess("https://minio.example.org", "reader", "canary-minio"),
        cluster=ClusterAccess("https://oscar.example.org", "oscar", "canary-oscar"),
        service="fish-detector",
        locations=Locations(
            data=Folder("fish-detector", "input/"),
            state=Folder("fish-detector", ".oscar-batch/"),
            index_copy="input/index.txt",
        ),
        selection=Selection(Rules("input/")),
    )


def test_the_defaults() -> None:
    assert config() == Config(
        storage=OFFERED.storages[0],
        cluster=OFFERED.clusters[0],
        service="target",
        locations=Locations(
            data=Folder("data", ""),
            state=Folder("data", ".oscar-batch/"),
            report=None,
            index_copy=None,
            own_inputs=(),
            own_outputs=(),
        ),
        selection=Selection(Rules(), recursive=True, manifest=None, skip_done=None),
        capacity_rules=CapacityRules(headroom=0.2, max_parallel=None, extra_slots=0),
        chunk_rules=ChunkRules(),
        cost=Cost(),
        dry_run=False,
    )


def test_the_default_timeout() -> None:
    assert config().cluster.timeout_s == 30.0


@pytest.mark.parametrize("written", ["input", "input/", "/input", "/input//"])
def test_a_folder_is_the_same_however_it_is_written(written: str) -> None:
    read = config(bucket={"name": "data", "folder_prefix": written})
    assert read.locations.data == Folder("data", "input/")


def test_yaml_means_the_same_as_json() -> None:
    text = b"bucket: {name: data}\nservice:\n  name: target\nplan:\n  headroom: 0.5\n"
    assert load_config(text, OFFERED) == config(plan={"headroom": 0.5})


def test_a_byte_order_mark_is_ignored() -> None:
    assert load_config(b"\xef\xbb\xbf" + json.dumps(BARE).encode(), OFFERED) == config()


def test_null_means_the_default() -> None:
    assert config(plan=None, report={"bucket": None}) == config()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b" \n", "is empty", id="blank"),
        pytest.param(b"null", "is empty", id="null"),
        pytest.param(b"[]", "not a list", id="array"),
        pytest.param(b"hello", "not a string", id="a word"),
        pytest.param(b"{", "not valid JSON: ", id="cut off"),
        pytest.param(b'{"bucket": }', "line 1, column 12", id="broken JSON"),
        pytest.param(b"a: b: c", "neither JSON nor YAML", id="broken YAML"),
        pytest.param(b"\xff\xfe{\x00}\x00", "not UTF-8", id="UTF-16"),
        pytest.param(b"a: \x00", "neither JSON nor YAML", id="a NUL"),
        pytest.param(b'{"a":' * 100_000, "32 deep", id="deeply nested JSON"),
        pytest.param(b"- " * 5_000, "32 deep", id="deeply nested YAML"),
        pytest.param(b" " * 5 * 2**20, "at most 1 MiB", id="5 MB"),
    ],
)
def test_a_file_that_is_no_config_is_one_problem(content: bytes, said: str) -> None:
    (only,) = problems(content)
    assert said in only


def test_a_file_of_the_greatest_size_is_read() -> None:
    content = json.dumps(BARE).encode()
    assert load_config(content.ljust(MAX_BYTES), OFFERED) == config()


def test_all_problems_are_reported_at_once_with_their_paths() -> None:
    content = {
        "bucket": {"name": 7, "folder": "x"},
        "plan": {"headroom": 1, "max_parallel": 0},
        "run": [],
    }
    found = problems(json.dumps(content).encode(), Platform())
    assert sorted(problem.partition(":")[0] for problem in found) == [
        "MinIO.url",
        "bucket.folder",
        "bucket.name",
        "oscar_cluster.url",
        "plan.headroom",
        "plan.max_parallel",
        "run",
        "service.name",
    ]


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"bukcet": {}}, "bukcet: is not a known key; did you mean bucket?"),
        ({"minio": {}}, "minio: is not a known key; did you mean MinIO?"),
        ({"plan": {"head_room": 0}}, "plan.head_room: is not a known key; did you mean headroom?"),
        (
            {"plan": {"zzz": 0}},
            "plan.zzz: is not a known key; known: chunk_bytes, chunk_items, "
            "extra_slots, headroom, max_parallel, min_chunk_items, seconds_per_item, "
            "seconds_per_mb, speeds, startup_s, strategy",
        ),
        (
            {"oscar_cluster": {"auth_basic": {"user": "x"}}},
            "oscar_cluster.auth_basic.user: is not a known key; did you mean username?",
        ),
    ],
    ids=["section", "case", "key", "nothing near", "nested"],
)
def test_an_unknown_key_is_refused_with_advice(sections: dict[str, Any], said: str) -> None:
    assert problem(**sections) == said


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("plan", "headroom", 1),
        ("plan", "headroom", -0.1),
        ("plan", "headroom", "0.2"),
        ("plan", "headroom", True),
        ("plan", "headroom", float("nan")),
        ("plan", "headroom", float("inf")),
        ("plan", "headroom", 10**400),
        ("plan", "max_parallel", 0),
        ("plan", "max_parallel", 1.5),
        ("plan", "max_parallel", True),
        ("plan", "max_parallel", float("inf")),
        ("plan", "speeds", []),
        ("plan", "speeds", 1.0),
        ("plan", "speeds", [1.0, 0]),
        ("plan", "speeds", [1.0, "fast"]),
        ("plan", "speeds", [1.0] * 1001),
        ("run", "dry_run", "yes"),
        ("run", "dry_run", 1),
        ("run", "id", "20261124T101500Z-abcdef"),
        ("run", "id", "20261124t101500z-abcdef/x"),
        ("run", "id", 7),
        ("plan", "max_parallel", 10**9),
        ("plan", "chunk_bytes", 0),
        ("plan", "chunk_bytes", "1.5x"),
        ("service", "mode", "ranges"),
        ("service", "name", "naïve"),
        ("service", "name", "a" * 64),
        ("MinIO", "access_key", "kéy"),
        ("oscar_cluster", "auth_token", {"token": "a b"}),
        ("bucket", "include", ["*"] * 101),
        ("bucket", "include", "*" * 1025),
        ("bucket", "min_size", "9" * 900_000),
        ("bucket", "min_size", 2**63),
        ("bucket", "folder_prefix", "x" * 1025),
        ("bucket", "skip_done", "yes"),
        ("bucket", "name", "a/b"),
        ("bucket", "name", "ab"),
        ("bucket", "name", "b" * 64),
        ("bucket", "folder_prefix", "a\nb"),
        ("bucket", "folder_prefix", "\ud800"),
        ("bucket", "folder_prefix", ["a"]),
        ("service", "name", ""),
        ("service", "name", {"a": 1}),
        ("output", "file", "/index.txt"),
        ("output", "file", "folder/"),
        ("state", "prefix", "/"),
        ("oscar_cluster", "timeout_s", 0),
        ("oscar_cluster", "timeout_s", 10**400),
        ("oscar_cluster", "timeout_s", 1e300),
        ("oscar_cluster", "verify", "no"),
        ("oscar_cluster", "url", "ftp://oscar.example.org"),
        ("oscar_cluster", "url", "https://a b"),
        ("oscar_cluster", "url", "https://oscar.example.org:99999"),
        ("oscar_cluster", "url", "https://oscar.example.org/?a=b"),
        ("MinIO", "url", "https://minio.example.org/path"),
        ("MinIO", "region", "bad region!"),
        ("MinIO", "url", "https://" + "x" * 64 + ".org"),
        ("MinIO", "url", "https://minio..org"),
        ("oscar_cluster", "url", "https://oscar.example.org/ü"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_wrong_value_is_a_problem_at_its_path(section: str, key: str, value: object) -> None:
    content = {**BARE, section: {**BARE.get(section, {}), key: value}}
    paths = [each.partition(":")[0] for each in problems(json.dumps(content).encode())]
    assert any(path.startswith(f"{section}.{key}") for path in paths)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ab", "is too short: a bucket's name has 3 to 63 characters, not 2"),
        ("b" * 64, "is too long: a bucket's name has 3 to 63 characters, not 64"),
        ("a/b", "must be the bucket alone: folders belong into the prefix beside it"),
        ("my bucket", "must be of letters, digits, dots and -, and end with a letter or digit"),
    ],
)
def test_what_is_wrong_with_a_buckets_name_is_said(name: str, said: str) -> None:
    assert problem(bucket={"name": name}) == f"bucket.name: {said}"


def test_chunk_bytes_may_have_a_unit() -> None:
    assert config(plan={"chunk_bytes": "1Mi"}).chunk_rules.chunk_bytes == 2**20


def test_the_mode_is_left_to_the_service_unless_it_is_given() -> None:
    assert config().mode is Mode.AUTO
    assert config(service={"name": "target", "mode": "range"}).mode is Mode.RANGE


def test_a_key_that_holds_a_whole_path_is_not_known() -> None:
    assert problem(**{"plan.headroom": 0.5}).startswith("(a key that is not shown): is not a known")


@pytest.mark.parametrize(
    ("sections", "path"),
    [
        ({"state": {"prefix": "input/"}}, "state.prefix"),
        ({"state": {"prefix": "in"}, "bucket": {"name": "data", "folder_prefix": "in/a"}}, "state"),
        ({"report": {"bucket": "data"}, "bucket": {"name": "data"}}, "report.prefix"),
        ({"report": {"prefix": "input"}}, "report.prefix"),
    ],
    ids=["state is the data folder", "state around it", "report at the root", "report is it"],
)
def test_a_folder_that_would_hide_all_items_is_refused(sections: dict[str, Any], path: str) -> None:
    bucket = {"name": "data", "folder_prefix": "input"}
    assert problem(**{"bucket": bucket, **sections}).startswith(path)


@pytest.mark.parametrize(
    "sections",
    [
        {"state": {"bucket": "elsewhere", "prefix": "input"}},
        {"report": {"bucket": "data"}},
        {"report": {"prefix": "input/reports"}},
        {"state": {"prefix": "inp"}},
    ],
    ids=["another bucket", "reports beside it", "reports inside it", "a name that begins alike"],
)
def test_a_folder_that_hides_nothing_is_accepted(sections: dict[str, Any]) -> None:
    config(bucket={"name": "data", "folder_prefix": "input"}, **sections)


CANARY = "canary-5ecret"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(f"MinIO: {{url: a, secret_key: *{CANARY}}}", id="a YAML alias"),
        pytest.param(f"MinIO: {{url: a, secret_key: !{CANARY} x}}", id="a YAML tag"),
        pytest.param(f"MinIO: {{url: a, secret_key: !{CANARY}! x}}", id="an unknown YAML tag"),
        pytest.param(f"MinIO: {{secret_key: !!bool {CANARY}}}", id="a tag of another type"),
        pytest.param(f"MinIO: {{url: a, secret_key:{CANARY}}}", id="a missing blank"),
        pytest.param(
            f"MinIO:\n  url: a\n  secret_key:{CANARY}: 1", id="a missing blank, in a block"
        ),
        pytest.param(f"MinIO: {{{CANARY}: secret_key}}", id="key and value the wrong way round"),
        pytest.param(f"MinIO: {{secret_key: {CANARY}, url: {CANARY}}}", id="as an address too"),
        pytest.param(
            f'{{"oscar_cluster": {{"auth_token": {{"token": "{CANARY}", "token": "{CANARY}"}}}}}}',
            id="twice",
        ),
        pytest.param(
            f"MinIO: {{secret_key: {CANARY}}}\nbucket: {{min_size: {CANARY}}}", id="elsewhere too"
        ),
        pytest.param(f'{{"MinIO": {{"secret_key": "{CANARY}"', id="cut off JSON"),
        pytest.param(f'{{"MinIO": "{CANARY}"}}', id="a section that is a text"),
        pytest.param(f'{{"plan": {{"headroom": "{CANARY}"}}}}', id="in the wrong place"),
        pytest.param(f'{{"MinIO": {{"url": "https://u:{CANARY}@minio"}}}}', id="in an address"),
        pytest.param(f'{{"MinIO": {{"secret_key": "{CANARY}"}}}}', id="half a pair"),
        pytest.param(
            f'{{"oscar_cluster": {{"url": "x", "auth_basic": {{"password": "{CANARY}"}}}}}}',
            id="without its username",
        ),
    ],
)
def test_no_problem_quotes_a_secret(content: str) -> None:
    assert CANARY not in " ".join(problems(content.encode(), Platform()))


def test_no_secret_is_in_a_config_as_text() -> None:
    read = load_config(FIRST_TOOL, Platform())
    shown = f"{read!r} {read!s} {read.describe()}"
    for name in ("canary=0", "canary_run=''"):  # fields of that name
        shown = shown.replace(name, "")
    assert "canary" not in shown
