# SPDX-License-Identifier: Apache-2.0
"""The wheels as a user has them: built from the sources, installed into a fresh environment."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from coordinator import __version__

pytestmark = pytest.mark.any_storage

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("coordinator", "worker", "fdl", "docs", "sandbox", "LICENSE", "README.md", "script.sh")
IGNORED = shutil.ignore_patterns("__pycache__", "*.egg-info", "build")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheels by the names of their distributions; built in a copy, which is no clone."""
    copy, made = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("wheels")
    for name in (*SOURCES, "pyproject.toml", "setup.py"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=IGNORED)
        else:
            shutil.copy(source, copy / name)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(made)]
    pip = [sys.executable, "-m", "pip", "wheel", *options]
    subprocess.run([*pip, str(copy), str(copy / "sandbox")], check=True, timeout=100)
    return {path.name.partition("-")[0]: path for path in made.glob("*.whl")}


@pytest.fixture(scope="module")
def fresh(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a fresh environment with the wheels."""
    venv = tmp_path_factory.mktemp("fresh")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(venv / "bin/python"), "install", "--quiet"]
    files = [str(path) for path in wheels.values()]
    subprocess.run([*pip, "--no-deps", "--no-index", *files], check=True, timeout=100)
    return venv / "bin"


def run(fresh: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A program of the fresh environment; the libraries are those of this one."""
    environment = {
        "PATH": f"{fresh}:{os.environ['PATH']}",
        "PYTHONPATH": sysconfig.get_path("purelib"),
        "HOME": str(folder),
    }
    command = [str(fresh / words[0]), *words[1:]]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )


def read_metadata(path: Path) -> dict[str, list[str]]:
    with zipfile.ZipFile(path) as archive:
        (name,) = [each for each in archive.namelist() if each.endswith(".dist-info/METADATA")]
        message = Parser().parsestr(archive.read(name).decode())
    return {key: [str(value) for value in message.get_all(key) or []] for key in message}


def test_each_wheel_has_one_name_among_the_installed_packages(wheels: dict[str, Path]) -> None:
    for name, path in wheels.items():
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        tops = {each.partition("/")[0] for each in names}
        assert tops == {name, f"{name}-{__version__}.dist-info"}
        assert not any("setup.py" in each or "__pycache__" in each for each in names)
    assert set(wheels) == {"oscar_batch", "oscar_batch_sandbox"}


def test_the_wheels_say_what_they_are(wheels: dict[str, Path]) -> None:
    for path in wheels.values():
        found = read_metadata(path)
        assert found["Version"] == [__version__]
        assert found["License-Expression"] == ["Apache-2.0"]
        assert found["Requires-Python"] == [">=3.11"]
        for key in ("Summary", "Classifier", "Keywords", "Project-URL"):
            assert found[key], key
    required = read_metadata(wheels["oscar_batch"])["Requires-Dist"]
    assert 'oscar-batch-sandbox; extra == "sandbox"' in required


def test_the_page_on_pypi_has_no_link_to_a_file_beside_it(wheels: dict[str, Path]) -> None:
    with zipfile.ZipFile(wheels["oscar_batch"]) as archive:
        (name,) = [each for each in archive.namelist() if each.endswith("METADATA")]
        text = archive.read(name).decode()
    pictures = set(re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text))
    links = set(re.findall(r"\]\(([^)]+)\)", text))
    assert pictures
    assert links > pictures
    assert [each for each in pictures if not each.startswith("https://raw.")] == []
    assert [each for each in links if not each.startswith(("https://", "#"))] == []


def test_the_command_line_needs_nothing_of_the_clone(fresh: Path, tmp_path: Path) -> None:
    (tmp_path / "index.tsv").write_text("".join(f"in/{n}.jpg\t{n * 1000}\n" for n in range(1, 101)))
    kit = ["kit", "--command", "wc {input}"]
    for words, said in (
        (["oscar-batch", "--version"], f"oscar-batch {__version__}"),
        (["oscar-batch", "--help"], "validate"),
        (["oscar-batch", *kit], "# oscar-batch worker 1"),
        (["oscar-batch", *kit, "--sh"], "# oscar-batch worker keeps to its lane"),
        (["oscar-batch", "plan", "--index", "index.tsv", "--slots", "4"], "100 items"),
        (["oscar-batch", "schema"], '"title": "OSCAR-Batch config"'),
        (["oscar-batch", "schema", "report"], "OSCAR-Batch report"),
        (["oscar-batch", "schema", "plan"], "OSCAR-Batch plan"),
        (["oscar-batch", "schema", "capacity"], "OSCAR-Batch capacity"),
        (["oscar-batch", "completion", "bash"], "complete -o filenames"),
        (["python", "-m", "oscar_batch", "--version"], __version__),
        (["oscar-batch-sandbox", "--help"], "status"),
    ):
        done = run(fresh, tmp_path, *words)
        assert done.returncode == 0, (words, done.stderr)
        assert said in done.stdout, words


def test_a_run_without_the_clone_leaves_a_report(fresh: Path, tmp_path: Path) -> None:
    """The page is rendered from a template of the wheel."""
    (tmp_path / "config.json").write_text("[]")
    done = run(fresh, tmp_path, "oscar-batch", "run", "config.json")
    assert done.returncode == 2, done.stderr
    assert len(list(tmp_path.glob("*/report.html"))) == 1


SANDBOX = """
import os, pathlib, subprocess
from oscar_batch_sandbox.handle import run_sandbox
with run_sandbox(pathlib.Path.cwd()) as box:
    os.environ["OSCAR_BATCH_OSCAR_URL"] = box.url
    os.environ["OSCAR_BATCH_OSCAR_USERNAME"] = box.username
    os.environ["OSCAR_BATCH_OSCAR_PASSWORD"] = box.password
    subprocess.run(["oscar-batch", "deploy"], check=True)
    box.deploy({"name": "hello", "image": "i", "script": "echo from the wheel"})
    box.invoke("hello", "{}").raise_for_status()
    (job,) = box.wait_until_ended("hello")
    print(box.read_log("hello", job))
"""


def test_the_sandbox_of_the_wheel_runs_and_takes_the_coordinators_definition(
    fresh: Path, tmp_path: Path
) -> None:
    for name in ("weed", "bwrap", "rclone"):  # from the packages that its wheel requires
        if (found := shutil.which(name, path=str(Path(sys.executable).parent))) is not None:
            (fresh / name).symlink_to(found)
    # A job sees no environment but its sandbox's.
    (site,) = fresh.parent.glob("lib/python*/site-packages")
    shutil.copytree(Path(sysconfig.get_path("purelib"), "yaml"), site / "yaml")
    done = run(fresh, tmp_path, "python", "-c", SANDBOX)
    assert done.returncode == 0, done.stderr
    assert "oscar-batch: created" in done.stdout
    assert "from the wheel" in done.stdout
