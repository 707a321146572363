# SPDX-License-Identifier: Apache-2.0
"""README.md as its first reader follows it: every command, in order, in a copy of the repository.

`REPLACED` has what needs the internet or a program that is no Python package, each with the reason.
Everything else runs as it is written, in one shell and on the sandbox that the text starts, and
`OUTCOMES` says what it must have brought about. A command that is in neither fails the test, and
so does an entry for a command that is no longer in the text.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from sandbox.handle import FINAL, Sandbox, wait_until
from sandbox.state import READY
from tests.functional.coordination import content, keys_of
from tests.functional.readme_clone import ROOT, Answer, Shell, make_clone
from tests.functional.readme_text import Kind, read_steps

pytestmark = [pytest.mark.any_storage, pytest.mark.timeout(600)]

README = (ROOT / "README.md").read_text("utf-8")
STEPS = tuple(read_steps(README))
RUN = "20261122t101500z-3f9a1c"
"""What stands in the text for the id of the reader's newest run."""
CONFIG = {
    "bucket": {"name": "my-data", "folder_prefix": "input/"},
    "service": {"name": "my-service"},
}
WAIT_S = 120.0

# The command: what runs instead, and why.
REPLACED: Mapping[str, tuple[str, str]] = {
    "pipx install oscar-batch": (
        "true",
        "needs a package index; tests/functional/test_wheel.py installs the wheels",
    ),
    "docker pull ghcr.io/grycap/oscar-batch:0.2.0": (
        "true",
        "needs a registry of images; tests/functional/test_image.py runs the image",
    ),
    "git clone https://github.com/grycap/oscar-batch && cd oscar-batch": (
        "cd oscar-batch",
        "needs the internet; the folder is a copy of this repository",
    ),
    "make demo": (
        "true",
        "takes a minute and a package index; tests/functional/test_examples.py runs the same with "
        "fewer photographs, and CI begins with it",
    ),
    "make test": ("true", "this test is a part of it"),
    "make venv && . .venv/bin/activate": (
        ". .venv/bin/activate",
        "needs a package index; the copy has an environment with the packages of this one",
    ),
    "oscar-cli apply": (
        "true",
        "is no Python package; tests/functional/test_clients_oscar_cli.py runs it where it is",
    ),
    "oscar-cli service put-file oscar-batch minio.default config.json oscar-batch/in/config.json": (
        "true",
        "as above: tests/functional/test_clients_oscar_cli.py puts a config with this command",
    ),
    "mc alias set minio $AWS_ENDPOINT_URL $AWS_ACCESS_KEY_ID $AWS_SECRET_ACCESS_KEY": (
        "true",
        "mc is no Python package",
    ),
    "mc cp config.json minio/oscar-batch/in/": ("true", "mc is no Python package"),
}


class Reader:
    """Who follows the text, and what they have brought about so far."""

    def __init__(self, shell: Shell, folder: Path) -> None:
        self.shell, self.folder = shell, folder
        self.runs: list[str] = []

    @property
    def box(self) -> Sandbox:
        return Sandbox.read(self.folder / f"build/sandbox/{READY}")

    def list_runs(self) -> list[str]:
        """The runs in the data bucket that have begun, the oldest first."""
        keys = keys_of(self.box, "my-data", ".oscar-batch/")
        return sorted(key.split("/")[1] for key in keys if key.endswith("/start.json"))

    def read_data(self) -> dict[str, bool]:
        """The files of the data bucket, and whether each is JSON."""
        found = {}
        for key in keys_of(self.box, "my-data", "input/"):
            with suppress(ValueError):
                found[key] = False
                json.loads(content(self.box, "my-data", key))
                found[key] = True
        return found

    def find_new_run(self) -> str:
        """The run that has begun since the last one."""
        (found,) = wait_until(
            lambda: [run for run in self.list_runs() if run not in self.runs] or None,
            WAIT_S,
            lambda: "no run has begun",
        )
        self.runs.append(found)
        return found

    def wait_for_end(self, run: str) -> dict[str, Any]:
        """The counts of a run that has ended, and whose coordinator has ended too."""
        key = f".oscar-batch/{run}/end.json"
        wait_until(
            lambda: key in keys_of(self.box, "my-data", key) or None,
            WAIT_S,
            lambda: f"run {run} has not ended",
        )
        wait_until(self.is_idle, WAIT_S, lambda: "the coordinator's job has not ended")
        return dict(json.loads(content(self.box, "my-data", key))["counts"])

    def is_idle(self) -> bool | None:
        """Whether no coordinator is at work, so that the next drop begins a run."""
        jobs = self.box.list_jobs("oscar-batch").values()
        return all(job["status"] in FINAL for job in jobs) or None


Outcome = Callable[[Reader, Answer], None]


def succeed(_: Reader, answer: Answer) -> None:
    assert answer.code == 0


def say(text: str) -> Outcome:
    def check(_: Reader, answer: Answer) -> None:
        assert answer.code == 0
        assert text in answer.text

    return check


def leave(*patterns: str) -> Outcome:
    """Files in the folder of the reader."""

    def check(reader: Reader, answer: Answer) -> None:
        assert answer.code == 0
        for pattern in patterns:
            assert list(reader.folder.glob(pattern)), pattern

    return check


def store(count: int, *, bad: int) -> Outcome:
    """Files in the data bucket, some of which are no JSON."""

    def check(reader: Reader, answer: Answer) -> None:
        assert answer.code == 0
        found = list(reader.read_data().values())
        assert (len(found), found.count(False)) == (count, bad)

    return check


def deploy(name: str) -> Outcome:
    def check(reader: Reader, answer: Answer) -> None:
        assert answer.code == 0
        assert answer.text.endswith(f"{name}: created")
        assert reader.box.read_service(name)["name"] == name

    return check


def set_variables(reader: Reader, answer: Answer) -> None:
    assert answer.code == 0
    assert reader.shell.run("echo $OSCAR_BATCH_OSCAR_URL").text == reader.box.url
    assert reader.shell.run("echo $AWS_ENDPOINT_URL").text == reader.box.s3_url


def write_config(reader: Reader, answer: Answer) -> None:
    """The config that the text shows; a run then looks every second, to save minutes."""
    assert answer.code == 0
    path = reader.folder / "config.json"
    assert json.loads(path.read_text("utf-8")) == CONFIG
    assert json.dumps(CONFIG) in README
    quicken(path)


def quicken(path: Path) -> None:
    config = json.loads(path.read_text("utf-8"))
    config["run"] = {**config.get("run", {}), "poll_s": 1}
    path.write_text(json.dumps(config), "utf-8")


def try_three(reader: Reader, answer: Answer) -> None:
    assert answer.code == 0
    assert "done: 3 done" in answer.text
    assert reader.wait_for_end(reader.find_new_run())["done"] == 3


def run_all(reader: Reader, answer: Answer) -> None:
    """A drop: a run begins, and what became of each file is what its content says."""
    data = reader.read_data()
    counts = reader.wait_for_end(reader.find_new_run())
    bad = [key for key, valid in data.items() if not valid]
    assert (counts["listed"], counts["failed"]) == (len(data), len(bad))
    assert counts["done"] == len(data) - len(bad) >= 20
    outputs = keys_of(reader.box, "my-results", "out/")
    assert {f"out/{Path(key).name}" for key in data if key not in bad} <= set(outputs)
    assert answer.code == (1 if bad else 0)


def run_failed(reader: Reader, answer: Answer) -> None:
    assert answer.code == 0
    counts = reader.wait_for_end(reader.find_new_run())
    assert (counts["listed"], counts["done"]) == (1, 1)
    assert "out/bad.json" in keys_of(reader.box, "my-results", "out/")


def show_newest(reader: Reader, answer: Answer) -> None:
    assert answer.code == 0
    assert reader.runs[-1] in answer.text
    assert "ended: done" in answer.text


def show_runs(reader: Reader, answer: Answer) -> None:
    assert answer.code == 0
    assert [run for run in reader.runs if run not in answer.text] == []


def fetch_reports(reader: Reader, answer: Answer) -> None:
    """Of every run that a coordinator's job drove: all but that of `try`."""
    assert answer.code == 0
    found = {path.parent.name for path in reader.folder.glob("reports/*/report.html")}
    assert found == set(reader.runs[1:])


def fetch_failed(reader: Reader, answer: Answer) -> None:
    assert answer.code == 0
    table = (reader.folder / "failed.csv").read_text("utf-8")
    assert [line.split(",")[0] for line in table.splitlines()] == ["key", "input/bad.json"]


def keep_folders(reader: Reader, answer: Answer) -> None:
    assert answer.code == 0
    assert reader.list_runs() == sorted(reader.runs)


def empty_trigger(reader: Reader, answer: Answer) -> None:
    assert answer.code == 0
    assert keys_of(reader.box, "oscar-batch", "in/") == []


def end_sandbox(reader: Reader, answer: Answer) -> None:
    assert answer.text == "down"
    assert not (reader.folder / f"build/sandbox/{READY}").exists()


OUTCOMES: Mapping[str, Outcome] = {
    "python -m sandbox up --detach": leave(f"build/sandbox/{READY}"),
    'eval "$(python -m sandbox env)"': set_variables,
    "oscar-batch deploy": deploy("oscar-batch"),
    "oscar-batch kit --command 'python3 -m json.tool {input} {output_dir}/{name}' -o script.sh": (
        leave("script.sh")
    ),
    "oscar-batch deploy my-service.yaml": deploy("my-service"),
    'mkdir files && for n in $(seq 20); do echo "{\\"number\\": $n}" > files/$n.json; done': (
        leave("files/1.json", "files/20.json")
    ),
    "aws s3 cp --recursive files s3://my-data/input/": store(20, bad=0),
    "oscar-batch init --service my-service --bucket my-data --prefix input/": write_config,
    "oscar-batch doctor config.json": succeed,
    "oscar-batch plan config.json": say("planned: 20 items planned"),
    "oscar-batch try config.json -n 3": try_three,
    "oscar-batch submit config.json": run_all,
    "rclone config create minio s3 provider=Minio env_auth=true endpoint=$AWS_ENDPOINT_URL": (
        say("type = s3")
    ),
    "rclone copy --ignore-times config.json minio:oscar-batch/in/": run_all,
    "aws s3 cp config.json s3://oscar-batch/in/": run_all,
    "python -c \"import boto3; boto3.client('s3').upload_file('config.json', 'oscar-batch', "
    "'in/config.json')\"": run_all,
    "oscar-batch status config.json --follow": show_newest,
    "aws s3 cp --recursive s3://oscar-batch/out/ reports": fetch_reports,
    "echo oops > files/bad.json && aws s3 cp files/bad.json s3://my-data/input/": store(21, bad=1),
    f"aws s3 cp s3://my-data/.oscar-batch/{RUN}/failed.csv failed.csv": fetch_failed,
    "oscar-batch runs config.json": show_runs,
    'echo "{}" > files/bad.json && aws s3 cp files/bad.json s3://my-data/input/': store(21, bad=0),
    "oscar-batch submit redrive.json": run_failed,
    f"oscar-batch cancel config.json {RUN}": say("has ended"),
    "oscar-batch clean config.json --older-than 30 --yes": keep_folders,
    "aws s3 rm --recursive s3://oscar-batch/in/": empty_trigger,
    "python -m sandbox down": end_sandbox,
}


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """A reader in front of an empty home folder."""
    folder = tmp_path_factory.mktemp("reader")
    clone = folder / "oscar-batch"
    make_clone(clone)
    shell = Shell(folder, folder / "home")
    try:
        yield Reader(shell, clone)
    finally:
        shell.close()  # it may be in the middle of a command
        down = [str(clone / ".venv/bin/python"), "-m", "sandbox", "down"]
        subprocess.run(down, cwd=clone, check=True, timeout=60)


def test_every_command_of_the_readme_works_in_order(reader: Reader) -> None:
    begun = time.monotonic()
    for step in STEPS:
        text = step.text.replace(RUN, reader.runs[-1] if reader.runs else RUN)
        where = f"{time.monotonic() - begun:.1f} s, README.md line {step.line}: {step.text}"
        print(where)
        if step.kind is Kind.FILE:
            path = reader.folder / step.name
            path.write_text(text, "utf-8")
            if "redrive" in step.name:
                quicken(path)
            continue
        if step.kind is Kind.PROGRAM:
            text = f"python - <<'PROGRAM'\n{text}\nPROGRAM"
        answer = reader.shell.run(REPLACED.get(text, (text, ""))[0])
        print(f"exit code {answer.code}\n{answer.text}")
        if step.kind is Kind.PROGRAM:
            run_all(reader, answer)
        elif step.text not in REPLACED:
            OUTCOMES[step.text](reader, answer)


def test_every_command_has_an_outcome_or_a_reason_not_to_run_it() -> None:
    commands = {step.text for step in STEPS if step.kind is Kind.COMMAND}
    assert commands - set(OUTCOMES) - set(REPLACED) == set(), "say what it must bring about"
    assert (set(OUTCOMES) | set(REPLACED)) - commands == set(), "it is no longer in README.md"
    assert set(OUTCOMES) & set(REPLACED) == set()


def test_the_tests_that_stand_for_what_does_not_run_exist() -> None:
    named = {name for _, why in REPLACED.values() for name in re.findall(r"tests/\S+\.py", why)}
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_no_form_of_a_command_is_passed_over() -> None:
    text = "| `oscar-batch one` |\n```sh\naws two   # three\n```\n- `oscar-batch` and `make four`"
    assert [step.text for step in read_steps(text)] == ["oscar-batch one", "aws two", "make four"]


@pytest.mark.parametrize(
    "text",
    [
        "```bash\ntrue\n```",
        "```\ntrue\n```",
        "```sh\ntrue",
        "```sh\ntrue \\\n  1\n```",
        "```json\n{}\n```",
    ],
)
def test_what_the_test_cannot_run_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="line "):
        list(read_steps(text))


def test_the_readme_is_short_and_shows_its_first_commands_early() -> None:
    assert len(README.splitlines()) < 200
    assert STEPS[0].line <= 30


def test_links_of_the_readme_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_the_readme_names_the_image_that_is_deployed() -> None:
    (image,) = re.findall(r"image: (\S+)", (ROOT / "fdl/coordinator.yaml").read_text("utf-8"))
    assert f"docker pull {image}" in README
