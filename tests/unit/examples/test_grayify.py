# SPDX-License-Identifier: Apache-2.0
"""The example target: a range of an index in, grey thumbnails out, whatever keys and files are."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import pytest
import yaml
from hypothesis import assume, example, given
from hypothesis import strategies as st
from PIL import Image

from examples.grayify import grayify
from examples.grayify.grayify import Refused, Tally, Work

HERE = Path(grayify.__file__).parent
ORIGINALS = HERE / "originals"
INDEX = ".oscar-batch/20261122t101500z-3f9a1c/index.0001.txt"
KEYS = ["a/one.jpg", "a/two.JPG", "b/three.jpeg", "b/four.Jpg", "five.jpg"]


class Mount:
    """A folder that looks as OSCAR's mounts do, with an index of the given keys."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.bucket = root / "mnt" / "observatory"
        self.output = root / "out"
        self.output.mkdir()

    def put(self, key: str, content: bytes) -> None:
        path = self.bucket / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def index(self, keys: Sequence[str]) -> None:
        self.put(INDEX, "".join(f"{key}\n" for key in keys).encode())

    def process(self, start: int, end: int) -> tuple[Tally, list[str]]:
        reported: list[str] = []
        work = Work(start=start, end=end, index=INDEX, bucket="observatory")
        tally = grayify.process(
            work, mount_root=self.root / "mnt", output=self.output, report=reported.append
        )
        return tally, reported

    def invocation(self, **fields: object) -> Path:
        body = {"start": 1, "end": 1, "index": INDEX, "bucket": "observatory", "run": "r"} | fields
        path = self.root / "event-file"
        path.write_text(json.dumps(body))
        return path

    def outputs(self) -> list[str]:
        return sorted(
            str(path.relative_to(self.output)) for path in self.output.rglob("*") if path.is_file()
        )


@pytest.fixture
def mount(tmp_path: Path) -> Mount:
    return Mount(tmp_path)


@pytest.fixture
def photo() -> bytes:
    return (ORIGINALS / "chelsea.jpg").read_bytes()


@pytest.fixture
def five(mount: Mount, photo: bytes) -> Mount:
    for key in KEYS:
        mount.put(key, photo)
    mount.index(KEYS)
    return mount


def run_script(
    mount: Mount, *, invocation: Path | None, **environment: str
) -> subprocess.CompletedProcess[str]:
    env = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "GRAYIFY_HOME": str(HERE),
        "GRAYIFY_MOUNT_ROOT": str(mount.root / "mnt"),
        "GRAYIFY_WAIT_S": "0",
        "TMP_OUTPUT_DIR": str(mount.output),
    } | environment
    if invocation is not None:
        env["INPUT_FILE_PATH"] = str(invocation)
    script = ["/bin/sh", str(HERE / "script.sh")]
    return subprocess.run(
        script, env=env, cwd=mount.root, capture_output=True, text=True, check=False, timeout=60
    )


# ---- the range


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        pytest.param(1, 5, KEYS, id="all"),
        pytest.param(1, 1, KEYS[:1], id="first line only"),
        pytest.param(5, 5, KEYS[4:], id="last line only"),
        pytest.param(2, 4, KEYS[1:4], id="middle, both ends included"),
    ],
)
def test_processes_its_lines_and_no_other(
    five: Mount, start: int, end: int, expected: list[str]
) -> None:
    tally, reported = five.process(start, end)

    assert five.outputs() == sorted(f"{key}.gray.jpg" for key in expected)
    assert tally == Tally(done=len(expected), failed=0)
    assert reported == []


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_adjoining_ranges_cover_every_line_once(sizes: list[int]) -> None:
    lines = [f"key {n}\n".encode() for n in range(1, sum(sizes) + 1)]
    seen: list[str] = []
    start = 1
    for size in sizes:
        seen += grayify.read_keys(iter(lines), Work(start, start + size - 1, "i", "b"))
        start += size

    assert seen == [line.decode().rstrip("\n") for line in lines]


def test_reads_nothing_of_the_index_after_its_last_line() -> None:
    lines = iter([b"a\n", b"b\n", b"c\n"])

    assert list(grayify.read_keys(lines, Work(1, 2, "i", "b"))) == ["a", "b"]
    assert next(lines) == b"c\n"


def test_only_a_newline_ends_a_line() -> None:
    keys = ["a\u2028b.jpg", "a\x0bb.jpg", "a\x85b.jpg", " blanks around.jpg "]
    lines = [f"{key}\n".encode() for key in keys]

    assert list(grayify.read_keys(lines, Work(1, 4, "i", "b"))) == keys


@pytest.mark.parametrize("end", [6, 9])
def test_says_so_if_the_index_ends_early(
    five: Mount, capsys: pytest.CaptureFixture[str], end: int
) -> None:
    arguments = ["--output", str(five.output), "--mount-root", str(five.root / "mnt")]

    code = grayify.main([*arguments, str(five.invocation(start=4, end=end))])

    assert code == 1
    out, err = capsys.readouterr()
    assert out == f"grayify: lines 4-{end}: 2 done, 0 failed\n"
    assert err == "grayify: the index has no line 6\n"


# ---- the invocation


def test_reads_the_invocation_and_ignores_what_is_not_its_own() -> None:
    text = (
        '{"start": 251, "end": 500, "index": "p/index.txt", "bucket": "observatory",'
        ' "run": "r", "chunk": 3, "attempt": 1, "new": null}'
    )

    assert Work.from_json(text) == Work(251, 500, "p/index.txt", "observatory")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        pytest.param({"start": 0}, "start=0", id="lines count from 1"),
        pytest.param({"start": 3, "end": 2}, "start=3, end=2", id="end before start"),
        pytest.param({"start": "1"}, "start='1'", id="text for a number"),
        pytest.param({"start": True}, "start=True", id="true for a number"),
        pytest.param({"end": 1.0}, "end=1.0", id="fraction"),
        pytest.param({"end": None}, "end=None", id="no end"),
        pytest.param({"end": 10**30}, "start=1, end=1000", id="absurd end"),
        pytest.param({"index": None}, "index", id="no index"),
        pytest.param({"index": "../../etc/passwd"}, "index", id="index outside the bucket"),
        pytest.param({"index": "a\0b"}, "index", id="index with a NUL"),
        pytest.param({"bucket": ".."}, "bucket", id="bucket outside the mount"),
        pytest.param({"bucket": "a/b"}, "bucket", id="bucket with a folder"),
        pytest.param({"bucket": ""}, "bucket", id="empty bucket"),
    ],
)
def test_refuses_an_invocation_it_cannot_trust(change: dict[str, object], named: str) -> None:
    body = {"start": 1, "end": 2, "index": "i.txt", "bucket": "observatory"}
    assert Work.from_json(json.dumps(body)).end == 2

    with pytest.raises(Refused, match=named):
        Work.from_json(json.dumps(body | change))


@pytest.mark.parametrize("text", ["", "nonsense", "[1, 2]", "3", b"\xff\xfe"])
def test_refuses_what_is_no_json_object(text: str | bytes) -> None:
    with pytest.raises(Refused, match="the invocation is not"):
        Work.from_json(text)


# ---- the thumbnail


@pytest.mark.parametrize("original", sorted(ORIGINALS.glob("*.jpg")), ids=lambda path: path.stem)
def test_makes_a_small_grey_picture_of_the_same_scene(original: Path) -> None:
    with Image.open(BytesIO(grayify.thumbnail(original))) as small, Image.open(original) as big:
        assert (small.format, small.mode) == ("JPEG", "L")
        assert max(small.size) == 256
        assert small.width / small.height == pytest.approx(big.width / big.height, rel=0.02)
        same = big.convert("L").resize(small.size, Image.Resampling.LANCZOS)
        pairs = zip(small.tobytes(), same.tobytes(), strict=True)
        assert sum(abs(a - b) for a, b in pairs) / (small.width * small.height) < 8


def test_a_picture_that_is_small_already_stays_as_small(tmp_path: Path) -> None:
    Image.new("RGB", (1, 3), "white").save(tmp_path / "tiny.jpg")

    with Image.open(BytesIO(grayify.thumbnail(tmp_path / "tiny.jpg"))) as small:
        assert small.size == (1, 3)


def test_turns_the_picture_upright_and_drops_the_metadata(tmp_path: Path) -> None:
    lying = Image.new("L", (400, 200), 0)
    lying.paste(255, (0, 0, 200, 200))  # white on the left
    exif = Image.Exif()
    exif[0x0112] = 6  # to be seen after a quarter turn clockwise: then white is on top
    exif[0x0110] = "Camera 3"
    lying.save(tmp_path / "lying.jpg", exif=exif, comment=b"51.5 N, 0.1 W")

    with Image.open(BytesIO(grayify.thumbnail(tmp_path / "lying.jpg"))) as upright:
        assert upright.size == (128, 256)
        assert upright.getpixel((64, 20)) == pytest.approx(255, abs=5)
        assert upright.getpixel((64, 236)) == pytest.approx(0, abs=5)
        assert not upright.getexif()
        assert "comment" not in upright.info


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_takes_every_colour_model_of_jpeg(tmp_path: Path, mode: str) -> None:
    with Image.open(ORIGINALS / "coffee.jpg") as image:
        image.convert(mode).save(tmp_path / "x.jpg", "JPEG")

    with Image.open(BytesIO(grayify.thumbnail(tmp_path / "x.jpg"))) as small:
        assert small.mode == "L"


# ---- what can go wrong with an item


def test_a_broken_image_is_reported_and_stops_nothing(five: Mount, photo: bytes) -> None:
    five.put("a/two.JPG", photo[: len(photo) // 2])
    five.put("b/three.jpeg", b"no picture at all")
    five.put("b/four.Jpg", b"")

    tally, reported = five.process(1, 5)

    assert tally == Tally(done=2, failed=3)
    assert five.outputs() == ["a/one.jpg.gray.jpg", "five.jpg.gray.jpg"]
    assert [line.split(": ")[1] for line in reported] == ["a/two.JPG", "b/three.jpeg", "b/four.Jpg"]


def test_a_missing_object_and_a_folder_fail_alone(mount: Mount, photo: bytes) -> None:
    mount.put("folder/x.jpg", photo)
    mount.index(["gone.jpg", "folder", "folder/x.jpg"])

    tally, reported = mount.process(1, 3)

    assert tally == Tally(done=1, failed=2)
    assert reported[0].startswith("grayify: gone.jpg: FileNotFoundError")
    assert reported[1].startswith("grayify: folder: IsADirectoryError")


def test_opens_nothing_but_jpeg(mount: Mount) -> None:
    png = BytesIO()
    Image.new("RGB", (9, 9)).save(png, "PNG")
    mount.put("really a png.jpg", png.getvalue())
    mount.index(["really a png.jpg"])

    tally, _ = mount.process(1, 1)

    assert tally == Tally(done=0, failed=1)


def test_leaves_no_part_of_an_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "folder" / "x.gray.jpg"
    whole = Path.write_bytes

    def full_disk(self: Path, content: bytes) -> int:
        whole(self, content[:3])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(OSError, match="No space left"):
        grayify.write_whole(target, b"content")

    assert target.parent.is_dir()
    assert not target.exists()


# ---- hostile keys


@pytest.mark.parametrize(
    "key",
    [
        "2024/01 Winter/cámara norte/fish #3+4 100%.JPG",
        "50%2Fnot a folder.jpg",
        "quotes \"double\" and 'single'.jpg",
        "$(touch owned); `touch owned` & | > x.jpg",
        "-rf.jpg",
        "back\\slash.jpg",
        " blanks around .jpg ",
        "..jpg",
        "...",
        "観測所/ü/👁.jpeg",
        "\x1b[31mred\x07.jpg",
        "no suffix",
        "a" * 246,
    ],
)
def test_a_strange_key_is_a_key(mount: Mount, photo: bytes, key: str) -> None:
    mount.put(key, photo)
    mount.index([key])

    tally, reported = mount.process(1, 1)

    assert (tally, reported) == (Tally(done=1, failed=0), [])
    assert mount.outputs() == [f"{key}.gray.jpg"]


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("tab\tname.jpg", "tab\u2409name.jpg"),
        ("\x01\x1f\x7f.jpg", "\u2401\u241f\u2421.jpg"),
        ("symbol \u2409.jpg", "symbol \u201b\u2409.jpg"),
        ("\x85\u2028 #'é.jpg", "\x85\u2028 #'é.jpg"),
    ],
)
def test_a_file_is_found_under_the_name_that_the_mount_shows(
    mount: Mount, photo: bytes, monkeypatch: pytest.MonkeyPatch, key: str, shown: str
) -> None:
    monkeypatch.setattr(Path, "is_mount", lambda _: True)
    mount.put(shown, photo)
    mount.index([key])

    tally, reported = mount.process(1, 1)

    assert (tally, reported) == (Tally(done=1, failed=0), [])
    assert mount.outputs() == [f"{key}.gray.jpg"]


in_mount = st.text(st.characters(max_codepoint=0x2500, exclude_characters="\u201b"))


@given(in_mount, in_mount)
@example("\t", "\u2409")
def test_no_two_keys_have_the_same_name_in_the_mount(one: str, other: str) -> None:
    same = grayify.name_in_mount(one) == grayify.name_in_mount(other)
    assert same == (one == other)


def test_a_key_that_the_mount_cannot_open_fails_with_the_reason() -> None:
    with pytest.raises(ValueError, match=r"the mount cannot open a key with .* \(U\+201B\)"):
        grayify.name_in_mount("a\u201b.jpg")


@pytest.mark.parametrize(
    "key",
    ["../secret.jpg", "a/../../secret.jpg", "..", ".", "a/./b.jpg", "a//b.jpg", "/a.jpg", "a/", "",
     "nul\0byte.jpg", "a" * 247],
)  # fmt: skip
def test_a_key_that_is_no_file_name_fails_and_writes_nowhere(
    mount: Mount, photo: bytes, key: str
) -> None:
    mount.put("good.jpg", photo)
    (mount.bucket.parent / "secret.jpg").write_bytes(photo)
    mount.index([key, "good.jpg"])
    before = sorted(mount.root.rglob("*"))

    tally, _ = mount.process(1, 2)

    assert tally == Tally(done=1, failed=1)
    new = set(mount.root.rglob("*")) - set(before)
    assert new == {mount.output / "good.jpg.gray.jpg"}


def test_a_key_that_is_not_utf8_fails_alone(mount: Mount, photo: bytes) -> None:
    mount.put("good.jpg", photo)
    mount.put(INDEX, b"caf\xe9.jpg\ngood.jpg\n")

    tally, _ = mount.process(1, 2)

    assert tally == Tally(done=1, failed=1)


def test_a_key_cannot_drive_the_terminal_or_forge_a_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    grayify.report_to_stderr("grayify: \x1b[2J\u202eevil\r\nlines 1-9: 9 done\x9b: ñ 観")

    assert capsys.readouterr().err == "grayify: [2Jevillines 1-9: 9 done: ñ 観\n"


keys = st.text(st.sampled_from("aA./ \\%ñ\n\0") | st.characters(), max_size=12)


@given(keys, keys)
@example("a.jpg", "a.JPG")
@example("a.jpg", "a.jpg.gray.jpg")
@example("a/b", "a//b")
@example("a", "a/.")
@example("a\udcff", "a")
def test_no_two_keys_share_an_output(one: str, other: str) -> None:
    assume(one != other)
    files = []
    for key in (one, other):
        try:
            files.append(os.path.normpath(os.path.join("/out", grayify.output_name(key))))
        except ValueError:
            continue

    assert len(set(files)) == len(files)
    assert all(file.startswith("/out/") for file in files)


@given(keys)
@example("2024/01 Winter/IMG 7.JPG")
def test_the_output_is_the_key_and_a_suffix(key: str) -> None:
    assume(grayify.is_path(key))

    assert grayify.output_name(key) == f"{key}.gray.jpg"


# ---- the mount


class FakeTime:
    """A clock that only sleeping moves, with something that happens at a given time."""

    def __init__(self, at_s: float, happens: Path) -> None:
        self.now_s, self.at_s, self.happens = 0.0, at_s, happens

    def clock(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        if self.now_s >= self.at_s:
            self.happens.touch()


def test_waits_for_a_mount_that_comes_late(tmp_path: Path) -> None:
    index = tmp_path / "index.txt"
    time = FakeTime(at_s=12, happens=index)

    assert grayify.wait_for(index, wait_s=30, clock=time.clock, sleep=time.sleep)
    assert 12 <= time.now_s < 13


def test_waits_no_longer_than_configured(tmp_path: Path) -> None:
    index = tmp_path / "index.txt"
    time = FakeTime(at_s=1000, happens=index)

    assert not grayify.wait_for(index, wait_s=30, clock=time.clock, sleep=time.sleep)
    assert 30 <= time.now_s < 31


# ---- the script, as OSCAR runs it


def test_script_does_the_range(five: Mount) -> None:
    five.put("b/three.jpeg", b"broken")

    ran = run_script(five, invocation=five.invocation(start=2, end=4))

    assert ran.stdout == "grayify: lines 2-4: 2 done, 1 failed\n"
    assert ran.stderr.startswith("grayify: b/three.jpeg: UnidentifiedImageError")
    assert ran.stderr.count("\n") == 1
    assert five.outputs() == ["a/two.JPG.gray.jpg", "b/four.Jpg.gray.jpg"]


def test_script_hands_over_paths_with_blanks_and_quotes(tmp_path: Path, photo: bytes) -> None:
    root = tmp_path / "a 'b' \"c\" $(d) *"
    root.mkdir()
    mount = Mount(root)
    mount.put("x.jpg", photo)
    mount.index(["x.jpg"])

    ran = run_script(mount, invocation=mount.invocation())

    assert ran.stdout == "grayify: lines 1-1: 1 done, 0 failed\n", ran.stderr
    assert mount.outputs() == ["x.jpg.gray.jpg"]


def test_script_says_that_the_mount_is_missing(mount: Mount) -> None:
    ran = run_script(mount, invocation=mount.invocation())

    assert ran.stdout == ""
    assert "observatory is not mounted" in ran.stderr
    assert mount.outputs() == []


def test_script_says_that_there_is_no_invocation(five: Mount) -> None:
    ran = run_script(five, invocation=None)

    assert ran.returncode != 0
    assert "INPUT_FILE_PATH" in ran.stderr
    assert five.outputs() == []


def test_script_says_what_is_wrong_with_the_invocation(five: Mount) -> None:
    ran = run_script(five, invocation=five.invocation(end=0))

    assert ran.stderr == "grayify: start and end are not lines of an index: start=1, end=0\n"
    assert five.outputs() == []


# ---- the definition


def test_definition_fits_the_script_and_the_image() -> None:
    definition = yaml.safe_load((HERE / "grayify.yaml").read_text())
    (service,) = definition["functions"]["oscar"][0].values()

    assert service["name"] == "grayify"
    assert (HERE / service["script"]).is_file()
    assert service["mount"] == {"storage_provider": "minio.default", "path": "/observatory"}
    assert service["output"] == [
        {"storage_provider": "minio.default", "path": "grayify-out/thumbs"}
    ]
    assert isinstance(service["cpu"], str)  # OSCAR refuses a number
    assert "COPY grayify.py /opt/grayify/grayify.py" in (HERE / "Dockerfile").read_text()
    assert "/opt/grayify}/grayify.py" in (HERE / "script.sh").read_text()
