# SPDX-License-Identifier: Apache-2.0
"""Make a small, real-looking archive of JPEG photographs from the originals shipped with `grayify`.

`make_photos` turns a few originals into any number of different photographs: cropped, rotated,
scaled, with sensor noise and a camera's metadata. Their sizes follow a log-normal law as those of
real archives do, and their names hold what real names hold: folders, blanks, accents, quotes, `#`,
`+`, `%`, and suffixes in every case. The same seed gives the same names and pixels.

Used by the demo, the benchmarks and the tests; by hand: `python -m examples.photos FOLDER`.
"""

import argparse
import random
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path

from PIL import Image

ORIGINALS = Path(__file__).parent / "grayify" / "originals"

FOLDERS = (
    "2023/11 Autumn/buoy 1",
    "2024/01 Winter/cámara norte",
    "2024/01 Winter/cámara norte/night+infrared",
    "2024/02/station #3",
    "2024/02/Ärmelkanal (test)",
    "2024/03/50%2Fcalibration",
    '2024/03/diver\'s "best" shots',
    "2024/03/観測所",
    "",
)
STEMS = (
    "IMG_{n:04d}",
    "DSC{n:05d}",
    "fish #{n}",
    "niño {n}",
    "reef+dusk_{n}",
    "O'Brien {n}",
    'the "big" one {n}',
    "100% {n}",
)
SUFFIXES = (".jpg", ".JPG", ".jpeg", ".Jpg", ".JPEG")

MIN_BYTES, MEDIAN_BYTES, MAX_BYTES = 5_000, 60_000, 600_000
SIZE_SIGMA = 1.0
"""Of the logarithm of the file sizes: one file in six is 2.7 times the median or larger."""
QUALITY = 82
FIRST_GUESS_BYTES_PER_PX = 0.2
SMALLEST_SIDE_PX = 48
FIRST_PHOTO_AT = datetime(2023, 11, 5, 6, 30)

EXIF_ORIENTATION, EXIF_MODEL, EXIF_DATE_TIME = 0x0112, 0x0110, 0x0132


def make_photos(destination: Path, count: int = 120, seed: int = 1) -> list[Path]:
    """Write `count` JPEGs below `destination` and return their paths in that order."""
    if count < 0:
        raise ValueError(f"cannot make {count} photos")
    rng = random.Random(seed)  # noqa: S311 - reproducible on purpose
    originals = [Image.open(path).convert("RGB") for path in sorted(ORIGINALS.glob("*.jpg"))]
    paths = []
    for number in range(1, count + 1):
        path = destination / photo_name(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photo(rng.choice(originals), number, rng))
        paths.append(path)
    return paths


def photo_name(number: int) -> str:
    """The name of a photo below the destination.

    The numbers of folders, stems and suffixes have no common factor: every combination comes up.
    """
    folder = FOLDERS[number % len(FOLDERS)]
    name = STEMS[number % len(STEMS)].format(n=number) + SUFFIXES[number % len(SUFFIXES)]
    return f"{folder}/{name}" if folder else name


def photo(original: Image.Image, number: int, rng: random.Random) -> bytes:
    """One photograph of about the size in bytes that the dice give it."""
    wanted = min(max(rng.lognormvariate(0, SIZE_SIGMA) * MEDIAN_BYTES, MIN_BYTES), MAX_BYTES)
    view = detail(original, rng)
    noise_share = rng.uniform(0.02, 0.12)
    grain_seed, exif = rng.random(), camera_exif(number, rng)

    def encode(pixels: float) -> bytes:
        scale = (pixels / (view.width * view.height)) ** 0.5
        size = tuple(max(SMALLEST_SIDE_PX, round(side * scale)) for side in view.size)
        image = with_grain(
            view.resize((size[0], size[1]), Image.Resampling.BILINEAR), noise_share, grain_seed
        )
        buffer = BytesIO()
        image.save(buffer, "JPEG", quality=QUALITY, exif=exif)
        return buffer.getvalue()

    # How many bytes a pixel takes differs between a night sky and a cat: try, then correct.
    trial_px = wanted / FIRST_GUESS_BYTES_PER_PX
    return encode(trial_px * wanted / len(encode(trial_px)))


def detail(original: Image.Image, rng: random.Random) -> Image.Image:
    """A part of the original, turned, mirrored or tilted."""
    share = rng.uniform(0.5, 0.95)
    width, height = (
        round(original.width * share),
        round(original.height * share * rng.uniform(0.8, 1.0)),
    )
    left, top = rng.randint(0, original.width - width), rng.randint(0, original.height - height)
    view = original.crop((left, top, left + width, top + height))
    if rng.random() < 0.3:
        view = view.rotate(rng.uniform(-6, 6), Image.Resampling.BILINEAR)
    if rng.random() < 0.5:
        view = view.transpose(
            rng.choice((Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_90))
        )
    return view


def with_grain(image: Image.Image, share: float, seed: float) -> Image.Image:
    """The image with a sensor's noise, without which an enlarged image is an oddly small JPEG."""
    rng = random.Random(seed)  # noqa: S311 - reproducible on purpose
    grain = Image.frombytes("L", image.size, rng.randbytes(image.width * image.height))
    return Image.blend(image, grain.convert("RGB"), share)


def camera_exif(number: int, rng: random.Random) -> Image.Exif:
    """What a camera notes; two in three note how it was held."""
    exif = Image.Exif()
    exif[EXIF_MODEL] = "OSCAR-Batch example camera"
    exif[EXIF_DATE_TIME] = (FIRST_PHOTO_AT + timedelta(hours=7 * number)).strftime(
        "%Y:%m:%d %H:%M:%S"
    )
    if rng.random() < 2 / 3:
        exif[EXIF_ORIENTATION] = rng.choice((1, 3, 6, 8))
    return exif


def main(argv: Sequence[str] | None = None) -> int:
    """Make photos from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.photos", description="Make a small archive of real JPEGs."
    )
    parser.add_argument("destination", type=Path, help="folder to write to")
    parser.add_argument("--count", type=int, default=120, help="how many (%(default)d)")
    parser.add_argument(
        "--seed", type=int, default=1, help="another seed, other photos (%(default)d)"
    )
    args = parser.parse_args(argv)
    if args.count < 0:
        parser.error(f"--count: cannot make {args.count} photos")
    paths = make_photos(args.destination, args.count, args.seed)
    total = sum(path.stat().st_size for path in paths)
    print(f"{len(paths)} photos, {total / 1e6:.1f} MB, below {args.destination}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
