#!/bin/sh
# The invocation is a JSON file: {"start": 1, "end": 250, "index": "…/index.txt", "bucket": "observatory", …}.
mkdir -p /tmpfolder 2>/dev/null   # without it OSCAR 4 shows every job with a mount as failed
number() { sed -n "s/.*\"$1\": *\([0-9]*\).*/\1/p" "$INPUT_FILE_PATH"; }
index=$(sed -n 's/.*"index": *"\([^"]*\)".*/\1/p' "$INPUT_FILE_PATH")
python3 /opt/turbidity/turbidity.py -i "$BUCKET_DIR/$index" -d "$BUCKET_DIR" \
    --start "$(number start)" --end "$(number end)" -o "$TMP_OUTPUT_DIR"
