# SPDX-License-Identifier: Apache-2.0
"""What a person sees of a sandbox: the next steps, its services, logs, settings and page."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

import pytest
import requests
import yaml

from sandbox.handle import CHECKOUT, Sandbox, wait_until

pytestmark = pytest.mark.any_storage


class Shown:
    """A sandbox in the background, asked by its command line."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self.up = self("up", "--detach")
        self.box = Sandbox.read(self.state / "up.json")

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "sandbox", words[0], "--state", str(self.state)]
        return subprocess.run(
            [*command, *words[1:]], cwd=CHECKOUT, capture_output=True, text=True, timeout=100
        )


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    found = Shown(tmp_path_factory.mktemp("look"))
    try:
        found.box.deploy({"name": "hello", "image": "<b>i</b>", "script": "echo said this"})
        found.box.invoke("hello", "{}").raise_for_status()
        found.box.wait_until_ended("hello")
        yield found
    finally:
        found("down")


def test_up_says_what_to_do_next(shown: Shown) -> None:
    assert shown.up.returncode == 0, shown.up.stderr
    assert f"OSCAR at {shown.box.url}" in shown.up.stdout
    for verb in ("env", "services", "logs", "down"):
        assert f"python -m sandbox {verb} --state {shown.state}" in shown.up.stdout


def test_services_are_listed_with_their_jobs(shown: Shown) -> None:
    assert shown("services").stdout == "hello: 1 Succeeded\n"


def test_the_log_of_the_newest_job(shown: Shown) -> None:
    (job,) = shown.box.list_jobs("hello")
    for words in (["hello"], ["hello", job]):
        done = shown("logs", *words)
        assert (done.returncode, "said this" in done.stdout) == (0, True)
        assert done.stderr == f"job {job}: Succeeded\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [(["gone"], "no service gone"), (["hello", "gone"], "has no job gone; it has hello-")],
)
def test_a_log_that_there_is_not(shown: Shown, words: list[str], said: str) -> None:
    done = shown("logs", *words)
    assert (done.returncode, said in done.stderr) == (1, True)


def test_the_settings_of_every_client(shown: Shown) -> None:
    box = shown.box
    script = shown("env").stdout + "env -0"
    lines = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)
    variables = dict(line.split("=", 1) for line in lines.stdout.split("\0") if "=" in line)
    assert variables["OSCAR_BATCH_OSCAR_PASSWORD"] == box.password
    assert variables["AWS_ENDPOINT_URL"] == variables["OSCAR_BATCH_MINIO_URL"] == box.s3_url
    host = box.s3_url.removeprefix("http://")
    assert variables["MC_HOST_sandbox"] == f"http://{box.access_key}:{box.secret_key}@{host}"
    rclone = ConfigParser(interpolation=None)
    rclone.read_string(shown("env", "--format", "rclone").stdout)
    assert rclone["sandbox"]["endpoint"] == box.s3_url
    assert rclone["sandbox"]["secret_access_key"] == box.secret_key
    cli = yaml.safe_load(shown("env", "--format", "oscar-cli").stdout)
    assert cli["oscar"][cli["default"]]["auth_password"] == box.password
    assert "MC_HOST_sandbox" in shown("env", "--format", "mc").stdout


def test_rclone_lists_what_is_there_with_these_settings(shown: Shown, tmp_path: Path) -> None:
    shown.box.minio.make_bucket("seen")
    settings = tmp_path / "rclone.conf"
    settings.write_text(shown("env", "--format", "rclone").stdout)
    rclone = Path(sys.executable).with_name("rclone")
    command = [str(rclone), "--config", str(settings), "lsf", "sandbox:"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, "seen/" in done.stdout) == (0, True), done.stderr


def test_the_page_shows_everything_and_no_credential(shown: Shown) -> None:
    box = shown.box
    answer = requests.get(box.url, timeout=30)
    assert answer.headers["Content-Type"].startswith("text/html")
    (job,) = box.list_jobs("hello")
    for text in ("node-1", "0 of 4", "hello", job, "Succeeded", "OSCAR 4.1"):
        assert text in answer.text
    assert "&lt;b&gt;i&lt;/b&gt;" in answer.text
    token = box.read_service("hello")["token"]
    for secret in (box.password, box.access_key, box.secret_key, token):
        assert secret not in answer.text


def test_without_a_sandbox_it_is_said(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sandbox", "services", "--state", str(tmp_path / "none")]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, "start one with `up`" in done.stderr) == (1, True)


def test_up_with_examples_deploys_them_with_their_data(tmp_path: Path) -> None:
    state = tmp_path / "state"
    log = (tmp_path / "log").open("wb")
    command = [sys.executable, "-m", "sandbox", "up", "--with", "examples", "--state", str(state)]
    process = subprocess.Popen(
        [*command, "--die-with-parent"], cwd=CHECKOUT, stdout=log, stderr=subprocess.STDOUT
    )
    wanted = {"grayify", "checksum", "turbidity", "words", "oscar-batch"}

    def find() -> Sandbox | None:
        ready = state / "up.json"
        box = Sandbox.read(ready) if ready.exists() else None
        names = {each["name"] for each in box.call("GET", "/system/services").json()} if box else ()
        buckets = {each.name for each in box.minio.list_buckets()} if box else set()
        return box if wanted <= set(names) and {"observatory", "archive"} <= buckets else None

    try:
        said = lambda: (tmp_path / "log").read_text()  # noqa: E731
        box = wait_until(find, 90, said)
        definition = box.read_service("grayify")
        assert "# oscar-batch worker 1" in definition["script"]
        assert (tmp_path / "state.examples" / "grayify" / "image").is_dir()
    finally:
        process.terminate()
        process.wait(30)
        log.close()
