# SPDX-License-Identifier: Apache-2.0
"""How clear the water is: brightness and contrast of every photograph of a range of an index.

A program as many have one, which knows nothing of OSCAR-Batch:
`turbidity.py -i INDEX -d DIR --start 1 --end 250 -o OUT`. Lines count from 1, both ends included.
"""

import argparse
import json
from itertools import islice
from pathlib import Path

from PIL import Image, ImageStat

# OSCAR's mount shows a control character of a key as its symbol (U+2400 + code, DEL as U+2421), and
# a symbol that is itself in the key behind a mark. It cannot open a key that has the mark.
MARK = "\u201b"
SYMBOLS = {chr(code): chr(0x2400 + code) for code in range(1, 0x20)} | {"\x7f": "\u2421"}
NAMES_IN_MOUNT = str.maketrans(SYMBOLS | {each: MARK + each for each in SYMBOLS.values()})


def name_in_mount(key: str) -> str:
    """The name under which OSCAR's mount shows the object of this key, if it can be opened."""
    if MARK in key:
        raise ValueError(f"the mount cannot open a key with the character {MARK} (U+201B)")
    return key.translate(NAMES_IN_MOUNT)


def measure(photo: Path) -> dict[str, float]:
    """Brightness and contrast, from 0 to 255."""
    with Image.open(photo) as image:
        grey = ImageStat.Stat(image.convert("L"))
    return {"brightness": round(grey.mean[0], 1), "contrast": round(grey.stddev[0], 1)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("-i", "--index", type=Path, required=True)
    parser.add_argument("-d", "--dir", type=Path, required=True)
    parser.add_argument("--start", type=int, required=True)
    parser.add_argument("--end", type=int, required=True)
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    with arguments.index.open("rb") as index:
        for line in islice(index, arguments.start - 1, arguments.end):
            key = line.decode().removesuffix("\n")
            output = arguments.out / (key + ".json")
            try:
                found = measure(arguments.dir / name_in_mount(key))
                output.parent.mkdir(parents=True, exist_ok=True)
                output.write_text(json.dumps(found))
            except (OSError, ValueError) as error:
                print(f"{key}: {type(error).__name__}: {error}", flush=True)


if __name__ == "__main__":
    main()
