#!/bin/sh
# OSCAR runs this as `/bin/sh script.sh` (the line above is ignored) once per invocation, with
#   INPUT_FILE_PATH  the invocation, a JSON file: {"start": 1, "end": 250, "index": "…/index.txt", "bucket": "…", …}
#   TMP_OUTPUT_DIR   what lies in there when the script ends is uploaded to the service's output path.
# OSCAR ignores the exit code. What tells is the output that is there, and the last line of the log.
set -u

# With a mount, OSCAR 4 marks every job as failed whose container has no writable /tmpfolder.
# Made only inside OSCAR's container (it has /oscar/config), never on a computer that tries the script.
[ ! -d /oscar/config ] || mkdir -p /tmpfolder 2>/dev/null || :

# The invocation stays in its file: no word of it and no key ever becomes part of a command line.
exec python3 -u "${GRAYIFY_HOME:-/opt/grayify}/grayify.py" \
    --output "${TMP_OUTPUT_DIR:?is not set: OSCAR gives it to the script}" \
    --mount-root "${GRAYIFY_MOUNT_ROOT:-/mnt}" \
    --wait "${GRAYIFY_WAIT_S:-30}" \
    "${INPUT_FILE_PATH:?is not set: does the service have file_stage_in: true?}"
