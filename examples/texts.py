# SPDX-License-Identifier: Apache-2.0
"""Make station logs of any number: text files with odd names, of a few lines each.

By hand: `python -m examples.texts FOLDER`.
"""

import argparse
import random
from pathlib import Path

NAMES = ("2024/01/log {n}.txt", "2024/02/station #{n}.txt", "niño's {n}.txt", "{n}.log.txt")
WORDS = (
    "buoy",
    "calm",
    "cold",
    "current",
    "depth",
    "fish",
    "lamp",
    "night",
    "swell",
    "tide",
    "wind",
)


def make_texts(destination: Path, count: int = 24, seed: int = 1) -> list[Path]:
    """Write `count` logs below `destination`; their paths."""
    made = []
    for number in range(1, count + 1):
        chance = random.Random(f"{seed}/{number}")  # noqa: S311 - text, no secret
        path = destination / NAMES[number % len(NAMES)].format(n=number)
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [
            " ".join(chance.choices(WORDS, k=chance.randint(3, 9)))
            for _ in range(chance.randint(1, 20))
        ]
        path.write_text("\n".join(lines) + "\n", "utf-8")
        made.append(path)
    return made


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make station logs.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=24)
    arguments = parser.parse_args()
    print(f"{len(make_texts(arguments.folder, arguments.count))} logs")
