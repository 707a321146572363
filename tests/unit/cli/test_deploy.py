# SPDX-License-Identifier: Apache-2.0
"""An FDL file becomes services: completed from its folder and the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from coordinator.cli.verbs.deploy import deploy
from coordinator.model.errors import ClusterError, ConfigError
from tests.unit.manager import Manager, manager

TARGET = {"name": "target", "image": "example/target:1", "script": "script.sh"}
READ = "GET /system/services/target"


def fdl(folder: Path, *functions: dict[str, Any], script: bytes = b"echo hi\n") -> Path:
    (folder / "script.sh").write_bytes(script)
    path = folder / "target.yaml"
    entries = [{"cluster": function} for function in functions]
    path.write_text(yaml.safe_dump({"functions": {"oscar": entries}}))
    return path


def sent(cluster: Manager, method: str) -> Any:
    (body,) = [body for line, body in cluster.requests if line == f"{method} /system/services"]
    return body


def deployed(path: Path, cluster: Manager, **environ: str) -> list[str]:
    return list(deploy(path, cluster.oscar, environ))


def test_the_text_of_the_script_is_put_into_the_definition(tmp_path: Path) -> None:
    with manager({"PUT /system/services": (204, ""), READ: (200, "{}")}) as cluster:
        deployed(fdl(tmp_path, TARGET), cluster)
        assert sent(cluster, "PUT")["script"] == "echo hi\n"


def test_a_replacement_keeps_the_owner(tmp_path: Path) -> None:
    answers = {"PUT /system/services": (204, ""), READ: (200, '{"owner": "somebody"}')}
    with manager({**answers}) as cluster:
        lines = deployed(fdl(tmp_path, TARGET), cluster)
        assert (sent(cluster, "PUT")["owner"], lines) == ("somebody", ["target: updated"])


@pytest.mark.parametrize(
    "environment", [None, {}, {"secrets": None}, {"secrets": {}}, {"variables": {"A": "1"}}]
)
def test_a_service_without_secrets_is_deployed(
    tmp_path: Path, environment: dict[str, Any] | None
) -> None:
    answers = {"PUT /system/services": (204, ""), READ: (200, "{}")}
    with manager({**answers}) as cluster:
        function = {**TARGET, "environment": environment}
        assert deployed(fdl(tmp_path, function), cluster) == ["target: updated"]


def test_an_empty_secret_takes_its_value_from_the_environment(tmp_path: Path) -> None:
    kept = '{"environment": {"secrets": {"PASSWORD": ""}}}'
    answers = {"PUT /system/services": (204, ""), READ: (200, kept)}
    with manager({**answers}) as cluster:
        function = {**TARGET, "environment": {"secrets": {"PASSWORD": ""}}}
        lines = deployed(fdl(tmp_path, function), cluster, PASSWORD="canary")
        assert sent(cluster, "PUT")["environment"]["secrets"] == {"PASSWORD": "canary"}
    assert "canary" not in " ".join(lines)


def test_secrets_that_the_release_does_not_keep_are_said(tmp_path: Path) -> None:
    answers = {"PUT /system/services": (204, ""), READ: (200, "{}")}
    with manager({**answers}) as cluster:
        function = {**TARGET, "environment": {"secrets": {"PASSWORD": ""}}}
        lines = deployed(fdl(tmp_path, function), cluster, PASSWORD="canary")
    assert "does not keep PASSWORD" in lines[1]


def test_numbers_become_quantities(tmp_path: Path) -> None:
    answers = {"PUT /system/services": (204, ""), READ: (200, "{}")}
    with manager({**answers}) as cluster:
        deployed(fdl(tmp_path, {**TARGET, "cpu": 0.5, "memory": 1024}), cluster)
        assert (sent(cluster, "PUT")["cpu"], sent(cluster, "PUT")["memory"]) == ("0.5", "1024")


@pytest.mark.parametrize("answer", [(404, ""), (400, "invalid serviceName")])
def test_a_service_that_is_unknown_is_created(tmp_path: Path, answer: tuple[int, str]) -> None:
    with manager({"POST /system/services": (201, ""), READ: answer}) as cluster:
        assert deployed(fdl(tmp_path, TARGET), cluster) == ["target: created"]


@pytest.mark.parametrize("missing", ["name", "image", "script"])
def test_a_definition_that_lacks_something_is_refused(tmp_path: Path, missing: str) -> None:
    path = fdl(tmp_path, {key: value for key, value in TARGET.items() if key != missing})
    with manager({}) as cluster, pytest.raises(ConfigError, match=f"lacks {missing}"):
        deployed(path, cluster)


@pytest.mark.parametrize(
    "wrong",
    [
        {"environment": 1},
        {"environment": {"secrets": 1}},
        {"environment": {"secrets": ["a"]}},
        {"environment": {"secrets": {"A": 1234}}},
        {"name": ["a"]},
        {"script": {"a": 1}},
        {"script": "a\0b"},
        {"script": "."},
    ],
    ids=repr,
)
def test_a_value_of_another_type_is_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    path = fdl(tmp_path, {**TARGET, **wrong})
    with manager({}) as cluster, pytest.raises(ConfigError):
        deployed(path, cluster)


def test_nothing_is_sent_if_any_function_is_wrong(tmp_path: Path) -> None:
    path = fdl(tmp_path, TARGET, {**TARGET, "script": "absent.sh"})
    with manager({}) as cluster:
        with pytest.raises(ConfigError, match="cannot read the script"):
            deployed(path, cluster)
        assert cluster.requests == []


def test_secrets_that_are_nowhere_set_are_left_out_and_said(tmp_path: Path) -> None:
    answers = {"PUT /system/services": (204, ""), READ: (200, "{}")}
    with manager({**answers}) as cluster:
        function = {**TARGET, "environment": {"secrets": {"B": "", "A": ""}}}
        lines = deployed(fdl(tmp_path, function), cluster)
        assert sent(cluster, "PUT")["environment"]["secrets"] == {}
    assert lines[1].startswith("target: without A, B, which are not set here; put these")


def test_storage_providers_beside_the_functions_go_into_each(tmp_path: Path) -> None:
    path = fdl(tmp_path, TARGET)
    providers = {"s3": {"mine": {"region": "eu"}}}
    path.write_text(
        yaml.safe_dump({**yaml.safe_load(path.read_text()), "storage_providers": providers})
    )
    with manager({"POST /system/services": (201, ""), READ: (404, "")}) as cluster:
        deployed(path, cluster)
        assert sent(cluster, "POST")["storage_providers"] == providers


def test_a_binary_script_is_refused(tmp_path: Path) -> None:
    path = fdl(tmp_path, TARGET, script=b"\xff")
    with manager({}) as cluster, pytest.raises(ConfigError, match="is not UTF-8 text"):
        deployed(path, cluster)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "functions: {}",
        "functions: []",
        "functions: {oscar: [1]}",
        "functions: {oscar: 1}",
        "{",
        "functions: {oscar: [{a: 1}]}",
        "functions: &a {oscar: *a}",
    ],
)
def test_a_file_that_is_no_fdl_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with manager({}) as cluster, pytest.raises(ConfigError, match=r"is not an FDL|the file"):
        deployed(path, cluster)


def test_an_fdl_for_two_clusters_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(yaml.safe_dump({"functions": {"oscar": [{"a": TARGET}, {"b": TARGET}]}}))
    with manager({}) as cluster, pytest.raises(ConfigError, match="must be for one cluster"):
        deployed(path, cluster)


@pytest.mark.parametrize("line", [READ, "POST /system/services", "PUT /system/services"])
def test_a_definition_that_oscar_cannot_read_is_explained(tmp_path: Path, line: str) -> None:
    """The text of OSCAR 4.1.2; it may name another service than the one that is deployed."""
    text = 'Error updating the service: the FDL of the service "old1" cannot be read'
    known = (200, "{}") if line.startswith("PUT") else (404, "")
    with (
        manager({READ: known, line: (500, text)}) as cluster,
        pytest.raises(ClusterError, match=r"kubectl delete configmap old1 .* deploy it again"),
    ):
        deployed(fdl(tmp_path, TARGET), cluster)


def test_ports_are_sent_in_the_form_of_the_release(tmp_path: Path) -> None:
    answers = {"POST /system/services": (201, ""), "GET /system/info": (200, '{"version":"4.1.2"}')}
    with manager({**answers}) as cluster:
        path = fdl(tmp_path, {**TARGET, "expose": {"api_port": 80, "nodePort": 0}})
        assert deployed(path, cluster) == ["target: created"]
        assert sent(cluster, "POST")["expose"] == {"api_port": [80], "nodePort": []}


@pytest.mark.parametrize(
    ("version", "known", "said"),
    [
        ("4.1.2", (200, "{}"), []),
        ("3.7.1", (404, ""), ["note: OSCAR 4.1"]),
        ("3.7.1", (200, "{}"), ["target: this OSCAR release gave", "note: OSCAR 4.1"]),
        ("3.5.3", (200, "{}"), ["note: OSCAR 4.1"]),
    ],
)
def test_what_a_release_does_to_services_is_said(
    tmp_path: Path, version: str, known: tuple[int, str], said: list[str]
) -> None:
    answers: dict[str, tuple[int, str] | None] = {
        "POST /system/services": (201, ""),
        "PUT /system/services": (204, ""),
        "GET /system/info": (200, f'{{"version":"{version}"}}'),
        READ: known,
    }
    with manager(answers) as cluster:
        found = deployed(fdl(tmp_path, {**TARGET, "input": [{"path": "in/x"}]}), cluster)[1:]
    assert len(found) == len(said)
    assert all(line.startswith(begin) for line, begin in zip(found, said, strict=True))
