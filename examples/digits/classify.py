# SPDX-License-Identifier: Apache-2.0
"""Say which digit a picture shows: a model that is loaded once, and then one line per picture.

Reads `{"input": …, "output_dir": …, "key": …}` a line, writes `<name>.json` into the output
folder, and answers `{"ok": true}` or `{"error": …}`.
"""

import json
import os
import sys
from pathlib import Path

import joblib
import numpy

PROCESS = {"node": os.environ.get("RESOURCE_ID"), "pid": os.getpid()}
model = joblib.load(os.environ.get("MODEL", "/opt/digits/model.joblib"))

for line in sys.stdin:
    item = json.loads(line)
    try:
        picture = Path(item["input"])
        header, levels = picture.read_bytes().split(b"\n", 1)
        if header != b"P5 8 8 16" or len(levels) != 64:
            raise ValueError("not a picture of 8 x 8 grey levels")
        chances = model.predict_proba(numpy.frombuffer(levels, numpy.uint8).reshape(1, -1))[0]
        found = {"digit": int(chances.argmax()), "chance": float(chances.max()), **PROCESS}
        Path(item["output_dir"], picture.name + ".json").write_text(json.dumps(found))
        answer: dict[str, object] = {"ok": True}
    except Exception as error:  # a picture that cannot be read fails alone
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
