# SPDX-License-Identifier: Apache-2.0
"""`init --from`: a config with credentials becomes one without, and means the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from coordinator.cli.main import main
from coordinator.cli.verbs.setup.init import convert
from coordinator.config.schema import ConfigReader
from coordinator.model.errors import ConfigError

FIRST = Path(__file__).parents[2] / "data" / "config_first_tool.json"


def test_the_config_of_the_first_tool_loses_its_credentials_and_nothing_else() -> None:
    raw = json.loads(FIRST.read_text("utf-8"))
    config, said = convert(raw)
    assert config == {
        "MinIO": {"url": "minio.example.org"},
        "bucket": {"name": "fish-detector", "folder_prefix": "input/"},
        "output": {"file": "index.txt"},
        "oscar_cluster": {"url": "oscar.example.org"},
        "service": {"name": "fish-detector"},
    }
    assert said == [
        "set OSCAR_BATCH_MINIO_URL, …_ACCESS_KEY, …_SECRET_KEY (the address is minio.example.org)",
        "set OSCAR_BATCH_OSCAR_URL, …_USERNAME, …_PASSWORD (the address is oscar.example.org)",
    ]
    before, after = ConfigReader(raw).values, ConfigReader(config).values
    changed = {path for path in before if before[path] != after[path]}
    assert changed == {
        "MinIO.access_key",
        "MinIO.secret_key",
        "oscar_cluster.auth_basic.username",
        "oscar_cluster.auth_basic.password",
    }


def test_all_that_is_wrong_with_it_is_said() -> None:
    with pytest.raises(ConfigError) as caught:
        convert({"bukcet": {}, "plan": {"headroom": 2}})
    assert len(caught.value.problems) == 4


def test_what_is_written_holds_no_secret_and_replaces_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "config.json"
    command = ["init", "--from", str(FIRST), "-o", str(target)]
    assert main(command) == 0
    said = capsys.readouterr()
    assert "canary" not in target.read_text() + said.out + said.err
    assert main(command) == 2
    assert "exists; name another file" in capsys.readouterr().err


def test_without_a_cluster_the_options_are_written_unchecked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("URL", "USERNAME", "PASSWORD"):
        monkeypatch.delenv(f"OSCAR_BATCH_OSCAR_{name}", raising=False)
    target = tmp_path / "config.json"
    words = ["--service", "target", "--bucket", "data", "--mode", "event"]
    assert main(["init", *words, "-o", str(target)]) == 0
    assert json.loads(target.read_text()) == {
        "bucket": {"name": "data"},
        "service": {"name": "target", "mode": "event"},
    }
    assert "not checked" in capsys.readouterr().out
    assert main(["init", "--service", "x", "--bucket", "a/b", "-o", str(tmp_path / "other")]) == 2
    assert not (tmp_path / "other").exists()
