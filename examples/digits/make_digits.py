# SPDX-License-Identifier: Apache-2.0
"""Make pictures of handwritten digits from the data set that scikit-learn ships.

By hand: `python -m examples.digits.make_digits FOLDER`.
"""

import argparse
from pathlib import Path

TRAINED = 1200
"""The first samples train the model; the pictures are made from the others."""


def make_digits(destination: Path, count: int = 60) -> list[Path]:
    """Write `count` pictures of 8 x 8 grey levels (PGM) below `destination`; their paths."""
    # Not at the top: who only wants to know the names of this module has no scikit-learn.
    from sklearn.datasets import load_digits  # noqa: PLC0415

    images = load_digits().images[TRAINED : TRAINED + count]
    made = []
    for number, image in enumerate(images, 1):
        path = destination / f"page {number // 20}" / f"{number:04}.pgm"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"P5 8 8 16\n" + bytes(int(level) for level in image.flat))
        made.append(path)
    return made


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make pictures of digits.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=60)
    arguments = parser.parse_args()
    print(f"{len(make_digits(arguments.folder, arguments.count))} pictures")
