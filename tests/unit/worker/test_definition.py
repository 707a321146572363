# SPDX-License-Identifier: Apache-2.0
"""The worker's reader of function_config.yaml, and what it takes from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from worker.oscar_batch_worker import (
    Access,
    Memory,
    OutputPath,
    WorkerError,
    read_definition,
    read_invocation,
    read_yaml,
)

DATA = Path(__file__).parents[2] / "data" / "function_config"
WANTED = ("storage_providers", "output", "mount")


@pytest.mark.parametrize("path", sorted(DATA.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_form_of_every_release_is_read(path: Path) -> None:
    found = read_definition(read_yaml(path.read_text("utf-8"), WANTED), ("key", "secret"))
    minio = found.providers["minio.default"]
    assert minio == ("https://minio-service.minio:9000", "us-east-1", "key", "secret", True)
    s3 = found.providers["s3.other"]
    assert s3 == ("https://s3.eu-west-1.amazonaws.com", "eu-west-1", "AKIA", "a/b+c=", True)
    assert found.outputs == (
        OutputPath("minio.default", "odd", "out/", ("t-",), (".json", ".txt")),
        OutputPath("s3.other", "elsewhere", "a b/", (), ()),
    )
    assert found.mount == "observatory"


_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x85\u2028\u2029\r"), max_size=30)
_VALUE = st.recursive(
    _TEXT, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3)
)


@given(st.dictionaries(st.sampled_from(WANTED), _VALUE), st.dictionaries(_TEXT, _VALUE))
def test_the_reader_agrees_with_a_full_one_or_names_the_line(
    wanted: dict[str, Any], others: dict[str, Any]
) -> None:
    """Written by PyYAML in the style of the sandbox; strings of several lines are refused."""
    document = {"environment": others, **wanted, "last": "line"}
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=10_000)
    try:
        found = read_yaml(text, WANTED)
    except WorkerError as error:
        named = str(error)
    else:
        assert normalize(found) == normalize(wanted)
        return
    assert "function_config.yaml, line " in named


def normalize(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): normalize(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [normalize(each) for each in value]
    return value


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("name: x\nmount: |\n  x\n", 2),
        ("mount:\n  path: [a, b]\n", 2),
        ("mount:\n  path: 'x\n", 2),
        ("mount:\n  path: a\n    b\n", 3),
        ("output:\n- &a x\n", 2),
        ("output:\n- {a: b}\n", 2),
    ],
)
def test_another_form_of_yaml_is_refused_by_line(text: str, line: int) -> None:
    with pytest.raises(WorkerError, match=rf"^function_config\.yaml, line {line}: "):
        read_yaml(text, WANTED)


def test_what_a_worker_cannot_store_to_is_refused_by_name() -> None:
    providers = {"minio": {"default": {"endpoint": "http://minio"}}}
    outputs = [{"storage_provider": "onedata.x", "path": "a/b"}]
    with pytest.raises(WorkerError, match=r"output to onedata\.x"):
        read_definition({"storage_providers": providers, "output": outputs}, None)
    with pytest.raises(WorkerError, match=r"storage_providers\.minio\.default is missing"):
        read_definition({}, None)


def test_keys_stand_in_no_text() -> None:
    assert "s3cret" not in repr(Access("http://s3", "r", "key", "s3cret"))


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"schema": "oscar-batch/worker/2"}'])
def test_an_unknown_invocation_is_refused(body: str) -> None:
    with pytest.raises(WorkerError, match="the invocation"):
        read_invocation(body)


@pytest.mark.parametrize(
    ("name", "accepted"),
    [("t-a.json", True), ("a.json", False), ("t-a.bin", False), ("sub/t-a.json", False)],
)
def test_filters_look_at_the_relative_name(name: str, accepted: bool) -> None:
    assert (
        OutputPath("minio.default", "b", "p/", ("t-",), (".json", ".txt")).accepts(name) is accepted
    )


def write_cgroup(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text)


def test_memory_is_read_from_both_versions_of_cgroups(tmp_path: Path) -> None:
    two, one = tmp_path / "2", tmp_path / "1"
    stat = "anon 5\nfile 700\nshmem 100\n"
    write_cgroup(
        two / "sys/fs/cgroup", {"memory.max": "1000", "memory.current": "1549", "memory.stat": stat}
    )
    assert not Memory(str(two)).is_short()
    (two / "sys/fs/cgroup/memory.current").write_text("1550")
    assert Memory(str(two)).is_short()
    stat = "cache 1\ntotal_cache 300\ntotal_shmem 100\n"
    files = {"memory.limit_in_bytes": "1000", "memory.usage_in_bytes": "1150", "memory.stat": stat}
    write_cgroup(one / "sys/fs/cgroup/memory", files)
    assert Memory(str(one)).is_short()
    write_cgroup(tmp_path / "3/sys/fs/cgroup", {"memory.max": "max\n", "memory.current": "9"})
    assert not Memory(str(tmp_path / "3")).is_short()
    assert Memory(str(tmp_path / "nowhere")).limit == 0
