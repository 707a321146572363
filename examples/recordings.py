# SPDX-License-Identifier: Apache-2.0
"""Make recordings as of a hydrophone: sweeps and clicks in noise, as WAV files.

`make_recordings` turns a seed into any number of short mono recordings in nested folders with odd
names. By hand: `python -m examples.recordings FOLDER`.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import wave
from array import array
from pathlib import Path

RATE_HZ = 8000
NAMES = ("2024/buoy 1/hour {n:02}.wav", "2024/100% {n}.wav", 'the "loud" one {n}.WAV', "ñ/{n}.wav")


def make_recordings(destination: Path, count: int = 12, seed: int = 1) -> list[Path]:
    """Write `count` recordings of one to three seconds below `destination`; their paths."""
    made = []
    for number in range(1, count + 1):
        chance = random.Random(f"{seed}/{number}")  # noqa: S311 - noise, no secret
        path = destination / NAMES[number % len(NAMES)].format(n=number)
        path.parent.mkdir(parents=True, exist_ok=True)
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE_HZ)
            file.writeframes(_make_samples(chance).tobytes())
        made.append(path)
    return made


def _make_samples(chance: random.Random) -> array[int]:
    """A sweep between two frequencies, with noise."""
    samples = array("h")
    low_hz, high_hz = chance.uniform(100, 800), chance.uniform(1000, 3500)
    length = int(RATE_HZ * chance.uniform(1, 3))
    phase = 0.0
    for n in range(length):
        phase += 2 * math.pi * (low_hz + (high_hz - low_hz) * n / length) / RATE_HZ
        samples.append(int(9000 * math.sin(phase) + chance.uniform(-2000, 2000)))
    if sys.byteorder == "big":
        samples.byteswap()
    return samples


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make recordings as of a hydrophone.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=12)
    arguments = parser.parse_args()
    print(f"{len(make_recordings(arguments.folder, arguments.count))} recordings")
