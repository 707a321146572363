# SPDX-License-Identifier: Apache-2.0
"""The function of the example grayify: photographs in, grey thumbnails out."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from PIL import Image

from examples.grayify import grayify

ORIGINALS = Path(grayify.__file__).parent / "originals"


def make_small(source: Path) -> Image.Image:
    with TemporaryDirectory() as folder:
        target = Path(folder) / "thumbnail"
        grayify.make_thumbnail(source, target)
        with Image.open(target) as small:
            small.load()
            return small


@pytest.mark.parametrize("original", sorted(ORIGINALS.glob("*.jpg")), ids=lambda path: path.stem)
def test_makes_a_small_grey_picture_of_the_same_scene(original: Path) -> None:
    with make_small(original) as small, Image.open(original) as big:
        assert (small.format, small.mode) == ("JPEG", "L")
        assert max(small.size) == 256
        assert small.width / small.height == pytest.approx(big.width / big.height, rel=0.02)
        same = big.convert("L").resize(small.size, Image.Resampling.LANCZOS)
        pairs = zip(small.tobytes(), same.tobytes(), strict=True)
        assert sum(abs(a - b) for a, b in pairs) / (small.width * small.height) < 8


def test_a_picture_that_is_small_already_stays_as_small(tmp_path: Path) -> None:
    Image.new("RGB", (1, 3), "white").save(tmp_path / "tiny.jpg")

    with make_small(tmp_path / "tiny.jpg") as small:
        assert small.size == (1, 3)


def test_turns_the_picture_upright_and_drops_the_metadata(tmp_path: Path) -> None:
    lying = Image.new("L", (400, 200), 0)
    lying.paste(255, (0, 0, 200, 200))  # white on the left
    exif = Image.Exif()
    exif[0x0112] = 6  # to be seen after a quarter turn clockwise: then white is on top
    exif[0x0110] = "Camera 3"
    lying.save(tmp_path / "lying.jpg", exif=exif, comment=b"51.5 N, 0.1 W")

    with make_small(tmp_path / "lying.jpg") as upright:
        assert upright.size == (128, 256)
        assert upright.getpixel((64, 20)) == pytest.approx(255, abs=5)
        assert upright.getpixel((64, 236)) == pytest.approx(0, abs=5)
        assert not upright.getexif()
        assert "comment" not in upright.info


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_takes_every_colour_model_of_jpeg(tmp_path: Path, mode: str) -> None:
    with Image.open(ORIGINALS / "coffee.jpg") as image:
        image.convert(mode).save(tmp_path / "x.jpg", "JPEG")

    with make_small(tmp_path / "x.jpg") as small:
        assert small.mode == "L"


# ---- what can go wrong with an item


def test_opens_nothing_but_jpeg(tmp_path: Path) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "a.jpg", "PNG")

    with pytest.raises(OSError, match="cannot identify"):
        make_small(tmp_path / "a.jpg")
