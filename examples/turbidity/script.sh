#!/bin/sh
# The invocation is a JSON file: {"start": 1, "end": 250, "index": "…/index.0001.txt", "bucket": "observatory", …}.
mkdir -p /tmpfolder 2>/dev/null   # without it OSCAR 4 shows every job with a mount as failed
number() { sed -n "s/.*\"$1\": *\([0-9]*\).*/\1/p" "$INPUT_FILE_PATH"; }
text() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" "$INPUT_FILE_PATH"; }
folder=/mnt/$(text bucket)
tries=0   # OSCAR may start the script before the bucket is mounted
until [ -f "$folder/$(text index)" ] || [ $((tries += 1)) -gt 30 ]; do sleep 1; done
python3 /opt/turbidity/turbidity.py -i "$folder/$(text index)" -d "$folder" \
    --start "$(number start)" --end "$(number end)" -o "$TMP_OUTPUT_DIR"
