# SPDX-License-Identifier: Apache-2.0
"""The image as a cluster would run it: the coordinator's job in a container, start to report.

It needs a Docker daemon and the image that `make image` built; OSCAR_BATCH_TEST_IMAGE names it.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from coordinator import __version__
from sandbox.handle import CHECKOUT, Sandbox
from tests.functional.conftest import Deploy
from tests.functional.coordination import RECORDER, content, fill, keys_of, recorded

pytestmark = pytest.mark.any_storage

IMAGE = os.environ.get("OSCAR_BATCH_TEST_IMAGE", f"oscar-batch:{__version__}")
BASE = os.environ.get("OSCAR_BATCH_TEST_BASE", "")
WEIGHT_LIMIT_MB = 80


def docker(*arguments: str, within_s: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["docker", *arguments], capture_output=True, text=True, timeout=within_s, check=False
    )


@pytest.fixture(scope="module")
def image() -> str:
    """The image's name; skipped where there is none, for that is no fault of the code."""
    try:
        daemon = docker("info", "--format", "{{.ServerVersion}}")
    except FileNotFoundError:
        pytest.skip("docker is not installed")
    if daemon.returncode != 0:
        pytest.skip(f"no Docker daemon answers: {daemon.stderr.strip().splitlines()[-1]}")
    if docker("image", "inspect", IMAGE).returncode != 0:
        pytest.skip(f"there is no image {IMAGE}: run `make image`")
    return IMAGE


@pytest.fixture
def job(sandbox: Sandbox, tmp_path: Path) -> Iterator[Path]:
    """What OSCAR puts into a job's container, in three directories the container's user may read
    and, for the outputs, write."""
    for name in ("config", "secrets", "in", "out"):
        (tmp_path / name).mkdir()
    provider = {"endpoint": sandbox.s3_url, "verify": False, "region": "us-east-1"}
    function = {
        "name": "oscar-batch",
        "storage_providers": {
            "minio": {"default": {**provider, "access_key": "hidden", "secret_key": "hidden"}}
        },
        "input": [{"storage_provider": "minio.default", "path": "oscar-batch/in"}],
        "output": [{"storage_provider": "minio.default", "path": "oscar-batch/out"}],
    }
    (tmp_path / "config/function_config.yaml").write_text(yaml.safe_dump(function))
    (tmp_path / "config/script.sh").write_text((CHECKOUT / "script.sh").read_text())
    (tmp_path / "secrets/accessKey").write_text(sandbox.access_key)
    (tmp_path / "secrets/secretKey").write_text(sandbox.secret_key)
    (tmp_path / "out").chmod(0o777)
    for directory in (tmp_path, *tmp_path.parents):
        if directory.stat().st_mode & 0o077 == 0:
            directory.chmod(0o711)
    yield tmp_path
    # What the container's user wrote belongs to it.
    docker("run", "--rm", "--user", "0", "-v", f"{tmp_path}/out:/out", IMAGE, "rm", "-rf", "/out/.")


def run_job(job: Path, config: object, sandbox: Sandbox) -> subprocess.CompletedProcess[str]:
    """`/bin/sh /oscar/config/script.sh` in the container, on the host's loopback."""
    (job / "in/config.json").write_text(json.dumps(config))
    provider = "/var/run/secrets/providers/minio.default"
    environment = {
        "INPUT_FILE_PATH": "/in/config.json",
        "TMP_OUTPUT_DIR": "/out",
        "STORAGE_OBJECT_KEY": "in/config.json",
        "OSCAR_BATCH_OSCAR_URL": sandbox.url,
        "OSCAR_BATCH_OSCAR_USERNAME": sandbox.username,
        "OSCAR_BATCH_OSCAR_PASSWORD": sandbox.password,
    }
    variables = job / "variables"
    variables.write_text("".join(f"{name}={value}\n" for name, value in environment.items()))
    volumes = [
        f"{job}/config:/oscar/config:ro",
        f"{job}/secrets:{provider}:ro",
        f"{job}/in:/in:ro",
        f"{job}/out:/out",
    ]
    arguments = ["run", "--rm", "--network", "host", "--read-only", "--tmpfs", "/tmp"]
    arguments += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
    arguments += ["--env-file", str(variables)]
    arguments += [word for volume in volumes for word in ("--volume", volume)]
    return docker(*arguments, IMAGE, "/bin/sh", "/oscar/config/script.sh", within_s=120)


def test_the_whole_job_runs_inside_the_container_as_nobody_special(
    sandbox: Sandbox, deploy: Deploy, name: str, image: str, job: Path
) -> None:
    output = {"storage_provider": "minio.default", "path": f"{name}-out/seen"}
    environment = {"variables": {"OSCAR_BATCH_DATA": f"{name}-data"}}
    deploy(RECORDER, cpu="2", output=[output], environment=environment)
    fill(sandbox, f"{name}-data", [f"input/{i:02}.jpg" for i in range(12)])
    config = {
        "bucket": {"name": f"{name}-data", "folder_prefix": "input"},
        "service": {"name": name, "mode": "range"},
    }

    ran = run_job(job, config, sandbox)

    assert ran.returncode == 0, ran.stderr
    (path,) = (job / "out").glob("*/report.json")
    assert path.stat().st_uid == 65532, "the image's user, not root"
    report = json.loads(path.read_text())
    assert report["ending"] == "submitted"
    assert path.with_name("report.html").exists(), "the template is in the image"
    bodies = recorded(sandbox, name, len(report["chunks"]))
    covered = [line for body in bodies for line in range(body["start"], body["end"] + 1)]
    assert covered == list(range(1, 13))
    folder = f".oscar-batch/{report['run']}/"
    stored = {key.removeprefix(folder) for key in keys_of(sandbox, f"{name}-data", folder)}
    written = {"start.json", "index.0001.txt", "plan.json", "report.html", "report.json"}
    assert written | {"end.json"} <= stored
    index = content(sandbox, f"{name}-data", f"{folder}index.0001.txt").decode().splitlines()
    assert len(index) == 12
    for secret in (sandbox.password, sandbox.secret_key):
        assert secret not in ran.stdout + ran.stderr


def test_a_bad_config_leaves_its_report_there_too(sandbox: Sandbox, image: str, job: Path) -> None:
    ran = run_job(job, {"bucket": {"nmae": "data"}}, sandbox)

    assert ran.returncode == 2, ran.stderr
    (path,) = (job / "out").glob("*/report.json")
    assert json.loads(path.read_text())["ending"] == "bad config"


def test_the_image_has_no_user_of_power_and_no_build_tools(image: str) -> None:
    user = docker("image", "inspect", "--format", "{{.Config.User}}", image).stdout.strip()
    assert user.partition(":")[0].isdecimal(), "a cluster sees only in a number that it is not root"
    assert int(user.partition(":")[0]) > 0
    found = docker(
        "run", "--rm", "--network", "none", image, "/bin/sh", "-c",
        "ls /opt/oscar-batch/bin; command -v gcc cc make; "
        "python3 -c 'import pip' 2>&1; python3 -c 'import setuptools' 2>&1; ls /src 2>&1",
    )  # fmt: skip
    assert "oscar-batch" in found.stdout
    assert not {"gcc", "cc", "make", "pip", "pip3"} & set(found.stdout.replace("/", " ").split())
    assert found.stdout.count("ModuleNotFoundError") == 2, found.stdout


def test_the_image_says_what_it_is(image: str) -> None:
    shown = docker("image", "inspect", "--format", "{{json .Config.Labels}}", image).stdout
    labels = {
        key.removeprefix("org.opencontainers.image."): v for key, v in json.loads(shown).items()
    }
    assert labels["licenses"] == "Apache-2.0"
    assert labels["version"] == image.partition(":")[2]
    assert len(labels["revision"]) == 40, "the commit that it was built from"


def test_the_image_is_light(image: str) -> None:
    if not BASE:
        pytest.skip("OSCAR_BATCH_TEST_BASE does not name the base that the image was built on")
    sizes = [
        int(docker("image", "inspect", "--format", "{{.Size}}", each).stdout)
        for each in (image, BASE)
    ]
    above = (sizes[0] - sizes[1]) / 1e6
    print(f"the image is {above:.1f} MB above its base of {sizes[1] / 1e6:.0f} MB")
    assert above < WEIGHT_LIMIT_MB
