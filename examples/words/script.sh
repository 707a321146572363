#!/bin/sh
name=$(basename "$INPUT_FILE_PATH")
wc -w <"$INPUT_FILE_PATH" >"$TMP_OUTPUT_DIR/$name.words"
