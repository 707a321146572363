# SPDX-License-Identifier: Apache-2.0
"""The sample archive: real JPEGs, the same for the same seed, named and sized as in archives."""

from collections.abc import Iterable
from pathlib import Path

import pytest
from PIL import Image

from examples import photos
from examples.photos import make_photos


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    folder = tmp_path_factory.mktemp("archive")
    return folder, make_photos(folder)


def names(folder: Path, paths: Iterable[Path]) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in paths]


def test_makes_as_many_different_jpegs_as_asked(archive: tuple[Path, list[Path]]) -> None:
    folder, paths = archive

    assert len(paths) == 120
    assert sorted(paths) == sorted(path for path in folder.rglob("*") if path.is_file())
    assert len({path.read_bytes() for path in paths}) == 120
    for path in paths:
        with Image.open(path) as image:
            image.load()
            assert image.format == "JPEG"
            assert min(image.size) >= photos.SMALLEST_SIDE_PX


def test_sizes_are_spread_as_in_a_real_archive(archive: tuple[Path, list[Path]]) -> None:
    sizes = sorted(path.stat().st_size for path in archive[1])

    assert 3_000 <= sizes[0] < 12_000
    assert 30_000 < sizes[60] < 100_000
    assert 250_000 < sizes[-1] <= 700_000
    assert 5_000_000 < sum(sizes) < 15_000_000
    assert sum(sizes) / len(sizes) > 1.2 * sizes[60]  # a tail of large ones


def test_names_hold_what_real_names_hold(archive: tuple[Path, list[Path]]) -> None:
    found = names(*archive)

    assert {Path(name).suffix for name in found} == {".jpg", ".JPG", ".jpeg", ".Jpg", ".JPEG"}
    for special in (" ", "á", "Ä", "ñ", "観", "#", "+", "%2F", "% ", "'", '"', "("):
        assert any(special in name for name in found), special
    assert {name.count("/") for name in found} == {0, 3, 4}
    assert any(name.startswith("2024/01 Winter/cámara norte/") for name in found)


def test_names_collide_nowhere(archive: tuple[Path, list[Path]]) -> None:
    found = names(*archive)

    assert len({name.casefold() for name in found}) == 120
    assert not any(c in name for name in found for c in "\n\r\0")


def test_cameras_were_held_in_every_way(archive: tuple[Path, list[Path]]) -> None:
    held = set()
    for path in archive[1]:
        with Image.open(path) as image:
            held.add(image.getexif().get(photos.EXIF_ORIENTATION))

    assert held == {None, 1, 3, 6, 8}


def test_the_same_seed_makes_the_same_photos(
    archive: tuple[Path, list[Path]], tmp_path: Path
) -> None:
    folder, paths = archive

    again = make_photos(tmp_path, count=12)

    assert names(tmp_path, again) == names(folder, paths[:12])
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in paths[:12]]


def test_another_seed_makes_other_photos(archive: tuple[Path, list[Path]], tmp_path: Path) -> None:
    other = make_photos(tmp_path, count=5, seed=2)

    assert not {p.read_bytes() for p in other} & {p.read_bytes() for p in archive[1]}


def test_none_is_a_number_of_photos_and_minus_one_is_not(tmp_path: Path) -> None:
    assert make_photos(tmp_path / "none", count=0) == []
    with pytest.raises(ValueError, match="-1"):
        make_photos(tmp_path, count=-1)


def test_command_line_says_what_it_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert photos.main([str(tmp_path), "--count", "3", "--seed", "7"]) == 0

    made = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(made) == 3
    assert capsys.readouterr().out.startswith("3 photos, ")


def test_originals_are_real_and_their_origins_are_named() -> None:
    originals = sorted(photos.ORIGINALS.glob("*.jpg"))
    origins = (photos.ORIGINALS / "ORIGINS.md").read_text()

    assert len(originals) >= 5
    assert sum(path.stat().st_size for path in originals) < 700_000
    assert all(f"| `{path.name}` |" in origins for path in originals)
