#!/bin/sh
# The coordinator's user script: OSCAR runs it as `/bin/sh script.sh` for every object that lands
# in the trigger folder, with
#   INPUT_FILE_PATH  the config.json that was dropped
#   TMP_OUTPUT_DIR   what lies in there when the script ends is uploaded to the output folder
# OSCAR ignores the exit code; the report in the output folder says how the run ended.
set -u

# A key made by a console for an empty "folder" is no config.
case "${STORAGE_OBJECT_KEY:-}" in
*/) exit 0 ;;
esac

export PYTHONUNBUFFERED=1
exec oscar-batch run \
    "${INPUT_FILE_PATH:?is not set: does the service have file_stage_in: true?}" \
    --output "${TMP_OUTPUT_DIR:?is not set: OSCAR gives it to the script}"
