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

parser = argparse.ArgumentParser()
parser.add_argument("-i", "--index", type=Path, required=True)
parser.add_argument("-d", "--dir", type=Path, required=True)
parser.add_argument("--start", type=int, required=True)
parser.add_argument("--end", type=int, required=True)
parser.add_argument("-o", "--out", type=Path, required=True)
arguments = parser.parse_args()

with arguments.index.open(encoding="utf-8", newline="\n") as index:
    for line in islice(index, arguments.start - 1, arguments.end):
        key = line.removesuffix("\n")
        try:
            with Image.open(arguments.dir / key) as image:
                grey = ImageStat.Stat(image.convert("L"))
        except OSError as error:
            print(f"{key}: {error}", flush=True)
            continue
        output = arguments.out / (key + ".json")
        output.parent.mkdir(parents=True, exist_ok=True)
        found = {"brightness": round(grey.mean[0], 1), "contrast": round(grey.stddev[0], 1)}
        output.write_text(json.dumps(found))
