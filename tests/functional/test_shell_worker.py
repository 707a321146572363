# SPDX-License-Identifier: Apache-2.0
"""The worker for images without Python, in three shells; a folder plays the mount."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from coordinator.cli.verbs.kit import write_shell_script
from coordinator.model.pull.documents import Beat, ChunkResult, Claim, Mark
from coordinator.run.pull_documents import decode_document
from examples.turbidity.turbidity import name_in_mount
from sandbox.handle import Sandbox, wait_until
from tests.functional.conftest import Deploy
from tests.functional.coordination import keys_of
from tests.functional.kit_setting import KitSetting
from tests.functional.servers import Server
from tests.functional.shell_worker import SCRIPT, SHELLS, TIMING, Setting

Make = Callable[..., Setting]
COPY = "cp {input} {output_dir}/{name}"


@pytest.fixture(params=list(SHELLS))
def shell(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    if not shutil.which(SHELLS[name][0]):
        pytest.skip(f"{name} is not installed")
    return name


@pytest.fixture
def make(sandbox: Sandbox, name: str, tmp_path: Path) -> Make:
    """A setting with a bucket of its own."""
    server = Server("any", sandbox)
    server.client.make_bucket(name)

    def create(storage: str = "s3", output: str = "") -> Setting:
        return Setting(server, name, tmp_path, storage, output)

    return create


@pytest.mark.parametrize("storage", ["s3", "mount"])
def test_every_item_of_the_lane_gets_its_outcome_and_its_outputs(
    make: Make, shell: str, storage: str
) -> None:
    setting = make(storage)
    for key in ("input/a.txt", "input/sub/b.txt", "input/c.txt", "input/other-lane.txt"):
        setting.add_item(key, f"content of {key}")
    setting.write_run(
        [[["input/a.txt", "input/sub/b.txt"], ["input/c.txt"]], [["input/other-lane.txt"]]]
    )

    setting.work(shell, COPY)

    assert {line: item["state"] for line, item in setting.outcomes().items()} == {
        1: "done",
        2: "done",
        3: "done",
    }
    assert setting.read("results/sub/b.txt") == b"content of input/sub/b.txt"
    assert setting.list("results/") == ["results/a.txt", "results/c.txt", "results/sub/b.txt"]
    result = setting.document("results/001/00001/000001.json")
    assert (result["schema"], result["sealed"]) == ("oscar-batch/result/1", False)
    assert (result["lane"], result["chunk"], result["attempt"]) == (1, 1, 1)
    beat = setting.beat()
    assert (beat["state"], beat["why"], beat["done"]) == ("ended", "no work left", 3)
    assert beat["process"] == result["process"]
    assert beat["process"].startswith("0001-00001-")


MARK = "\u201b"
ODD = [
    'input/a b/it\'s "quoted".txt',
    "input/-rf.txt",
    "input/$(touch evaluated)`touch evaluated`;touch evaluated.txt",
    "input/*[ab]?{input}{key}.txt",
    "input/back\\slash\\n.txt",
    "input/niño/観測.tar.gz",
    "input/.hidden",
    "input/no extension",
    "input/tab\there.txt",
    "input/the symbol \u2409here.txt",
    "input/\x01\x1b[31m\x1f\x7f\u2421\u2420.txt",
    f"input/{MARK} that rclone cannot open.txt",
]
LONGEST = "input/" + "/".join(["k" * 200] * 5) + "/" + "é" * 6 + "x"


def test_no_key_meets_the_evaluation_of_a_shell(make: Make, shell: str, name: str) -> None:
    assert len(LONGEST.encode()) == 1024
    setting = make(output=f"{name}/r")
    keys = [*ODD, LONGEST]
    for key in keys:
        mounted = name_in_mount(key) if MARK not in key else ""
        setting.add_item(mounted or key, f"content of {key}", mounted=bool(mounted))
    setting.add_item("input/empty.txt", b"")
    setting.add_item("input/+1 only in S3 é.txt", "from S3", mounted=False)
    setting.write_run([[[*keys, "input/empty.txt", "input/+1 only in S3 é.txt"]]])
    show = 'printf "%s\\0" "$@" >"$2/$4.s"; cat <"$1" >>"$2/$4.s"'

    setting.work(
        shell, f"sh -c '{show}' x {{input}} {{output_dir}} {{key}} {{name}} {{stem}} {{no}}"
    )

    assert [item for item in setting.outcomes().values() if item["state"] != "done"] == []
    for key in (*keys, "input/empty.txt"):
        path = Path(key)
        seen = setting.read(f"r/{key.removeprefix('input/')}.s").decode().split("\0")
        assert seen[0].endswith(f"/{path.name}")
        assert seen[2:6] == [key, path.name, path.stem, "{no}"]
        assert seen[6] == ("" if "empty" in key else f"content of {key}")
    assert not list(setting.root.rglob("evaluated*"))
    assert setting.read("r/+1 only in S3 é.txt.s").endswith(b"from S3")


# What each item makes its command do; the item's name chooses.
FAILING = r"""
case $3 in
exit) echo "it broke $1" >&2; exit 3 ;;
long) head -c 100000 /dev/zero | tr '\0' 'a' >&2; printf 'the end \377 "\n' >&2; exit 1 ;;
killed) kill -9 $$ ;;
slow) sleep 60 & sleep 60 ;;
loud) head -c 1000000000 /dev/zero ;;
children) sleep 60 & ;;
closed) exec >&- 2>&- <&- ;;
orphan) setsid sleep 5 & exit 7 ;;
stuck) mkdir "$2/d" && chmod 0 "$2/d" ;;
links) ln -s /etc/passwd "$2/passwd"; ln -s / "$2/all" ;;
*) printf 1 >"$2/$(printf 'a\nb')" ;;
esac
"""
CASES = ["exit", "long", "killed", "slow", "loud", "children", "closed", "orphan", "stuck", "good"]


def test_what_a_command_does_is_the_outcome_of_its_item_alone(make: Make, shell: str) -> None:
    setting = make()
    for case in CASES:
        setting.add_item(f"input/{case}")
    keys = [f"input/{case}" for case in CASES]
    setting.write_run([[[*keys, "input/missing", "input/folder/"]]], item_timeout_s=2)
    script = setting.root / "failing.sh"
    script.write_text(FAILING)

    begun = time.monotonic()
    setting.work(shell, f"sh {script} {{input}} {{output_dir}} {{name}}")

    assert time.monotonic() - begun < 40, "left-over children were waited for"
    outcomes = setting.outcomes()
    told = {
        item.get("key", "").removeprefix("input/"): (item["kind"], item["reason"])
        for item in outcomes.values()
        if item["state"] == "failed"
    }
    assert told == {
        "exit": ("exit", "exit code 3"),
        "long": ("exit", "exit code 1"),
        "killed": ("signal", "ended by signal SIGKILL"),
        "slow": ("time-out", "took longer than 2 s"),
        "orphan": ("exit", "exit code 7"),
        "missing": ("missing", "the mount does not show it, and the storage answered 404"),
        "folder/": ("missing", "the mount does not show it, and the storage answered 404"),
    }
    assert sorted(outcomes) == list(range(1, 13))
    assert outcomes[1]["stderr"].startswith("it broke ")
    assert outcomes[2]["stderr"].endswith("a" * 100 + 'the end \ufffd "\n')
    assert 2000 < len(outcomes[2]["stderr"]) <= 2048
    assert setting.list("results/") == ["results/a\nb"]


def test_an_output_that_is_another_items_fails_and_stays(make: Make) -> None:
    setting = make()
    setting.add_item("input/a.jpg")
    setting.add_item("input/a.png")
    setting.write_run([[["input/a.jpg", "input/a.png"]]])

    setting.work("dash", 'sh -c \'printf %s "$1" >"$2"\' x {key} {output_dir}/{stem}.txt')

    first, second = setting.outcomes().values()
    assert first["state"] == "done"
    assert (second["kind"], second["reason"]) == (
        "upload",
        f"{setting.bucket}/results/a.txt is already an output of another item",
    )
    assert setting.read("results/a.txt") == b"input/a.jpg"
    stat = setting.server.client.stat_object(setting.bucket, "results/a.txt")
    assert stat.metadata is not None
    assert stat.metadata["x-amz-meta-item"] == hashlib.sha256(b"input/a.jpg").hexdigest()
    assert stat.content_type == "text/plain"


def test_the_proof_is_stored_after_all_other_outputs(make: Make) -> None:
    setting = make("mount")
    setting.add_item("input/sub/a.jpg")
    setting.write_run([[["input/sub/a.jpg"]]], proof={"strip": ".jpg", "suffix": ".json"})

    write = 'for name in z.txt a.json b/c.txt; do mkdir -p "$0/b"; echo 1 >"$0/$name"; done'
    setting.work("dash", f"sh -c '{write}' {{output_dir}}")

    folder = setting.root / "mnt" / setting.bucket / "results" / "sub"
    stored = {name: (folder / name).stat().st_mtime_ns for name in ("z.txt", "a.json", "b/c.txt")}
    assert max(stored, key=lambda name: stored[name]) == "a.json"


def test_a_chunk_with_a_result_is_not_taken_again(make: Make) -> None:
    setting = make()
    setting.add_item("input/b")
    setting.write_run([[["input/a"], ["input/b"]]])
    setting.put(f"{setting.state}claims/001/00001/000001.001", "{}")
    setting.put(f"{setting.state}results/001/00001/000001.json", '{"items": []}')

    setting.work("dash", COPY)

    assert list(setting.outcomes()) == [2]
    assert len(setting.list(f"{setting.state}claims/")) == 2


def test_without_conditional_writes_a_result_carries_its_attempt(make: Make) -> None:
    setting = make()
    setting.add_item("input/a")
    setting.write_run([[["input/a"]]], exclusive=False)

    setting.work("dash", COPY)
    setting.work("dash", COPY, RESOURCE_ID="node-2")

    assert setting.list(f"{setting.state}results/") == [
        f"{setting.state}results/001/00001/000001.001.json"
    ]


def test_a_stopped_run_is_left_alone(make: Make) -> None:
    setting = make()
    setting.write_run([[["input/a"]]])
    setting.put(f"{setting.state}stop", "{}")

    setting.work("dash", COPY)

    assert setting.beat()["why"] == "stopped"
    assert setting.list(f"{setting.state}claims/") == []


def mark(attempt: int, item: int | None, *settled: int) -> dict[str, object]:
    outcomes = [
        {"line": line, "state": "failed", "seconds": attempt, "tries": 1, "reason": 'a "}, ['}
        for line in settled
    ]
    return {
        "schema": "oscar-batch/mark/1",
        "process": f"0001-00001-{attempt:08}",
        "attempt": attempt,
        "item": item,
        "items": outcomes,
    }


@pytest.mark.parametrize(
    ("seen_to_die", "deaths", "expected"),
    [
        (True, 2, "killed its worker"),
        (False, 4, "its worker vanished 4 times with it"),
        (False, 3, ""),
    ],
)
def test_a_cautious_attempt_goes_on_from_the_marks_and_blames_the_item_in_hand(
    make: Make, seen_to_die: bool, deaths: int, expected: str
) -> None:
    setting = make()
    keys = [f"input/{i}" for i in range(1, 5)]
    for key in keys:
        setting.add_item(key)
    setting.write_run([[keys]])
    # Attempt 1 was not cautious: what it had in hand is not blamed.
    marks = [mark(1, 4, 1), *(mark(2 + i, 2, 1, 3) for i in range(deaths))]
    for each in marks:
        name = f"001/00001/000001.{each['attempt']:03}"
        setting.put(f"{setting.state}claims/{name}", "{}")
        setting.put(f"{setting.state}marks/{name}.json", json.dumps(each))
        ended = {"state": "ended", "signal": 9} if seen_to_die else {"state": "working"}
        setting.put(f"{setting.state}beats/{each['process']}.json", json.dumps(ended))

    setting.work("dash", COPY)

    outcomes = setting.outcomes()
    assert {line: outcomes[line]["seconds"] for line in (1, 3)} == {1: 1, 3: 2}
    assert outcomes[2].get("reason", "") == expected
    assert outcomes[2]["tries"] == deaths + (not expected)
    assert outcomes[4]["state"] == "done"
    last = setting.document(f"marks/001/00001/000001.{deaths + 2:03}.json")
    assert (last["item"], len(last["items"])) == (None, 4)


@pytest.mark.parametrize("whole", [False, True], ids=["the worker alone", "with its shell"])
def test_a_killed_worker_leaves_its_chunk_to_the_next_one(make: Make, whole: bool) -> None:
    setting = make()
    for i in range(4):
        setting.add_item(f"input/{i}")
    setting.write_run([[["input/0"], ["input/1", "input/2"], ["input/3"]]])
    block = setting.root / "block"
    block.touch()
    begun = setting.root / "begun"
    wait = f"[ $1 != 2 ] || touch {begun}; while [ $1 = 2 ] && [ -e {block} ]; do sleep 0.1; done"
    script = f"{wait}; cp $0 $2"
    command = f"sh -c '{script}' {{input}} {{name}} {{output_dir}}"
    worker = setting.start("dash", command)
    wait_until(lambda: begun.exists() or None, 30, lambda: "the third item has not begun")

    block.unlink()
    if whole:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.communicate(timeout=20)
        shutil.rmtree(setting.root / "tmp")
        setting.work("dash", command)
    else:
        (note,) = (setting.root / "tmp").glob("oscar-batch.*/*/pid")
        os.kill(int(note.read_text()), signal.SIGKILL)
        worker.communicate(timeout=60)
        beats = [
            setting.document(f"beats/{key.rpartition('/')[2]}")
            for key in setting.list(f"{setting.state}beats/")
        ]
        whys = {beat["why"]: (beat["state"], beat["signal"]) for beat in beats}
        assert whys == {"signal 9": ("ended", 9), "no work left": ("ended", None)}

    assert {item["state"] for item in setting.outcomes().values()} == {"done"}
    assert sorted(setting.outcomes()) == [1, 2, 3, 4]
    assert setting.document("results/001/00001/000002.json")["attempt"] == 2


def test_after_sigterm_the_item_in_hand_ends_and_no_other_starts(make: Make, shell: str) -> None:
    setting = make()
    for i in range(3):
        setting.add_item(f"input/{i}")
    setting.write_run([[[f"input/{i}" for i in range(3)]]])
    begun = setting.root / "begun"
    command = f"sh -c 'touch {begun}; sleep 2; cp $0 $1' {{input}} {{output_dir}}"
    worker = setting.start(shell, command)
    wait_until(lambda: begun.exists() or None, 30, lambda: "no item began")

    worker.send_signal(signal.SIGTERM)
    worker.communicate(timeout=30)

    assert setting.list("results/") == ["results/0"]
    assert setting.outcomes() == {}
    assert [
        item["line"] for item in setting.document("marks/001/00001/000001.001.json")["items"]
    ] == [1]
    beat = setting.beat()
    assert (beat["state"], beat["why"], beat["signal"]) == ("ended", "SIGTERM", None)


def test_an_unknown_schema_is_refused_by_name(make: Make) -> None:
    setting = make()
    setting.write_run([[["input/a"]]], schema="oscar-batch/worker/9")

    _, said = setting.start("dash", COPY).communicate(timeout=30)

    assert "does not know the schema oscar-batch/worker/9" in said


def test_without_curl_a_mount_that_lacks_the_output_path_is_refused(make: Make) -> None:
    setting = make("mount", output="elsewhere/results")
    setting.write_run([[["input/a"]]])

    _, said = setting.start("dash", COPY).communicate(timeout=30)

    assert "the mount must cover the output path elsewhere/results" in said
    assert setting.list(f"{setting.state}claims/") == []


def test_an_output_to_another_store_is_refused(make: Make) -> None:
    setting = make()
    setting.write_run([[["input/a"]]])
    known = DEFINITION.format(bucket=setting.bucket, endpoint=setting.server.access.url)
    setting.definition = known.replace(
        "- storage_provider: minio.default", "- storage_provider: s3"
    )

    _, said = setting.start("dash", COPY).communicate(timeout=30)

    assert "output to s3: the worker in sh stores to minio.default only" in said
    assert setting.list(f"{setting.state}claims/") == []


def test_beats_go_on_during_a_long_item(make: Make) -> None:
    setting = make()
    setting.add_item("input/a")
    setting.write_run([[["input/a"]]], timing={**TIMING, "beat_s": 1.0, "mark_after_s": 1})
    end = setting.root / "end"
    worker = setting.start("dash", f"sh -c 'while [ ! -e {end} ]; do sleep 0.1; done'")

    def working() -> bool | None:
        beats = setting.list(f"{setting.state}beats/")
        return (bool(beats) and setting.beat()["item"] == "input/a") or None

    wait_until(working, 30, lambda: "no beat tells the item in hand")
    wait_until(
        lambda: bool(setting.list(f"{setting.state}marks/")) or None, 30, lambda: "there is no mark"
    )
    end.touch()
    worker.communicate(timeout=30)
    assert setting.outcomes()[1]["state"] == "done"


def test_an_item_has_the_same_outcome_as_with_the_kit_in_python(make: Make, name: str) -> None:
    setting = make()
    kit = KitSetting(setting.server, name, setting.root)
    keys = [f"input/{case}" for case in CASES]
    for key in [*keys, *ODD[:4]]:
        kit.add_item(key)
    kit.write_run([[[*keys, *ODD[:4], "input/missing"]]], item_timeout_s=2)
    script = setting.root / "failing.sh"
    script.write_text(FAILING)
    command = f"sh {script} {{input}} {{output_dir}} {{name}}"

    told = []
    for options in (["--command", command], ["--sh", "--command", command]):
        kit.run_kit(*options)
        outcomes = kit.outcomes()
        times = [item.pop("seconds") for item in outcomes.values()]
        assert all(seconds >= 0 for seconds in times)
        outcomes[CASES.index("long") + 1].pop("stderr")  # 2 KB, of which one cuts a character
        told.append(outcomes)
        for key in [*kit.list(f"{kit.state}results/"), *kit.list(f"{kit.state}claims/")]:
            kit.server.client.remove_object(name, key)
    python, shell = told
    assert shell[len(CASES) + 5].pop("reason") != python[len(CASES) + 5].pop("reason")
    assert shell == python


def read_members() -> dict[str, set[str]]:
    """The members of each document, from the table of the page of the protocol."""
    page = (SCRIPT.parents[1] / "docs" / "protocol.md").read_text("utf-8")
    found = {}
    for name in ("claim", "beat", "mark", "result", "outcome"):
        (row,) = re.findall(rf"^\| {name} \|(.*)\|$", page, re.MULTILINE)
        found[name] = set(re.findall(r"`([a-z_]+)`", re.sub(r"\([^()]*\)", "", row)))
    return found


@pytest.mark.parametrize("options", [[], ["--sh"]], ids=["python", "sh"])
def test_the_documents_are_those_of_the_protocol_and_the_coordinator_reads_them(
    make: Make, name: str, options: list[str]
) -> None:
    kit = KitSetting(make().server, name, make().root)
    keys = ["input/good", "input/bad"]
    for key in keys:
        kit.add_item(key)
    kit.write_run([[keys]])
    lost = {"schema": "oscar-batch/claim/1", "process": "0001-00009-00000000", "attempt": 1}
    kit.put(f"{kit.state}claims/001/00001/000001.001", json.dumps(lost))
    ended = {"state": "ended", "signal": None}
    kit.put(f"{kit.state}beats/{lost['process']}.json", json.dumps(ended))

    kit.run_kit(*options, "--command", "sh -c 'echo no >&2; case $0 in bad) exit 3; esac' {name}")

    (beat,) = [key for key in kit.list(f"{kit.state}beats/") if "00000000" not in key]
    names = {
        "claim": "claims/001/00001/000001.002",
        "mark": "marks/001/00001/000001.002.json",
        "result": "results/001/00001/000001.json",
        "beat": beat.removeprefix(kit.state),
    }
    members = read_members()
    for kind, reader in (("claim", Claim), ("mark", Mark), ("result", ChunkResult), ("beat", Beat)):
        assert set(kit.document(names[kind])) == members[kind]
        decode_document(reader, kit.read(kit.state + names[kind]))
    done, failed = kit.document(names["result"])["items"]
    assert set(failed) == members["outcome"]
    assert set(done) == {"line", "state", "seconds", "tries"}
    (first, second) = decode_document(ChunkResult, kit.read(kit.state + names["result"])).items
    assert (first.state, second.state) == ("done", "failed")
    assert (second.kind, second.reason, second.stderr) == ("exit", "exit code 3", "no\n")


@pytest.mark.parametrize("options", [[], ["--sh"]], ids=["python", "sh"])
def test_a_file_in_the_mount_is_never_taken_for_another_item(
    make: Make, name: str, options: list[str]
) -> None:
    setting = make()
    kit = KitSetting(setting.server, name, setting.root)
    keys = ["input/a\tb", "input/a\u2409b", f"input/{MARK}"]
    kit.add_item("input/a\u2409b", "the tab")
    kit.add_item(f"input/a{MARK}\u2409b", "the symbol")
    kit.add_item(keys[2], "the mark", mounted=False)
    kit.write_run([[keys]])

    kit.run_kit(*options, "--command", COPY)

    assert set(kit.states().values()) == {"done"}
    contents = [kit.read(key.replace("input/", "results/")) for key in keys]
    assert contents == [b"the tab", b"the symbol", b"the mark"]


# As Go's two YAML libraries write it: lists with and without indentation of their own.
DEFINITION = """\
# a comment
environment:
    variables:
        TEXT: |
            storage_providers:
            - no: part of it
name: "service"
output:
    - path: '/{bucket}/it''s/'
      prefix: []
      storage_provider: minio.default
      suffix:
        - .txt
        - ".json"
    - storage_provider: minio.default
      path: {bucket}/second
mount:
    path: /{bucket}
    storage_provider: minio.default
storage_providers:
    minio:
        default:
            access_key: hidden
            endpoint: {endpoint}
            region: us-east-1   # where it is
            verify: false
"""


def test_the_definition_as_go_writes_it_says_where_outputs_go(make: Make) -> None:
    setting = make()
    setting.add_item("input/a")
    setting.write_run([[["input/a"]]])
    setting.definition = DEFINITION.format(
        bucket=setting.bucket, endpoint=setting.server.access.url
    )

    setting.work("dash", "sh -c 'cd $0; echo >a.txt; echo >a.json; echo >a.bin' {output_dir}")

    assert setting.list("it's/") == ["it's/a.json", "it's/a.txt"]
    assert setting.list("second/") == ["second/a.bin", "second/a.json", "second/a.txt"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("mount: {path: /data}", "line 1: a form of YAML that the worker does not know"),
        ("mount:\n  path: |\n    /data", "line 2: a form of YAML that the worker does not know"),
        ('mount:\n  path: "\\u0041"', "line 2: an escape that the worker does not know"),
    ],
)
def test_a_definition_in_another_form_is_refused_with_its_line(
    make: Make, line: str, said: str
) -> None:
    setting = make()
    setting.write_run([[["input/a"]]])
    setting.definition = line + "\n"

    _, told = setting.start("dash", COPY).communicate(timeout=30)

    assert said in told


@pytest.mark.parametrize(
    ("curl", "mounted"),
    [(True, True), (True, False), (False, True)],
    ids=["both", "curl alone", "mount alone"],
)
def test_a_job_of_the_sandbox_works_off_its_lane(
    make: Make,
    deploy: Deploy,
    sandbox: Sandbox,
    name: str,
    tmp_path: Path,
    curl: bool,
    mounted: bool,
) -> None:
    # Without curl all lies in the mounted bucket, the output path too; OSCAR creates it then.
    setting = make() if curl else Setting(Server("any", sandbox), f"{name}-box", tmp_path)
    output = f"{name}-out/sums" if curl else f"{setting.bucket}/sums"
    script = write_shell_script(SCRIPT.read_text(), COPY)
    keys = ["input/a b.txt", "input/tab\there.txt", "input/sub/c.txt"]
    mount = {"mount": {"storage_provider": "minio.default", "path": f"/{setting.bucket}"}}
    deploy(
        script,
        cpu="0.5",
        memory="128Mi",
        log_level="DEBUG",
        **(mount if mounted else {}),
        output=[{"storage_provider": "minio.default", "path": output}],
        environment={"variables": {} if curl else {"OSCAR_BATCH_NO_CURL": "yes"}},
    )
    for key in keys:
        setting.add_item(key, f"content of {key}", mounted=False)
    setting.write_run([[keys[:2], keys[2:]]])

    assert sandbox.invoke(name, json.dumps(setting.body)).status_code == 201

    jobs = sandbox.wait_until_ended(name, within_s=60)
    log = "".join(sandbox.read_log(name, job) for job in jobs)
    assert "3 done, 0 failed, 2 chunks: no work left" in log
    assert {job["status"] for job in jobs.values()} == {"Succeeded"}
    assert [item["state"] for item in setting.outcomes().values()] == ["done"] * 3
    bucket, _, prefix = output.partition("/")
    assert keys_of(sandbox, bucket, f"{prefix}/") == [
        f"{prefix}/{key.removeprefix('input/')}" for key in sorted(keys)
    ]


def test_a_storage_that_is_away_for_seconds_is_waited_for(
    chaotic: Sandbox, name: str, tmp_path: Path
) -> None:
    server = Server("any", chaotic)
    server.client.make_bucket(name)
    setting = Setting(server, name, tmp_path)
    keys = [f"input/{number}" for number in range(4)]
    for key in keys:
        setting.add_item(key)
    setting.write_run([[keys[:2], keys[2:]]])
    begun = tmp_path / "begun"
    worker = setting.start("dash", f"sh -c 'touch {begun}; cp $0 $1' {{input}} {{output_dir}}")
    wait_until(lambda: begun.exists() or None, 30, lambda: "no item began")

    chaotic.chaos("POST", "storage/gap", seconds=3)

    _, said = worker.communicate(timeout=60)
    assert worker.returncode == 0, said
    assert [item["state"] for item in setting.outcomes().values()] == ["done"] * 4
