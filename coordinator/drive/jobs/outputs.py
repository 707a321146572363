# SPDX-License-Identifier: Apache-2.0
"""Settles items by their outputs: one listing of the outputs beside one reading of the index."""

from __future__ import annotations

from collections.abc import Iterable

from ...index.skip_done import KeySet
from ...model.object_columns import ObjectColumns
from ...model.selection import Outputs
from ...run.lines import split_lines
from .judge import NO_OUTPUT, LineState
from .ledger import ItemLedger


def settle_by_outputs(
    ledger: ItemLedger,
    index: Iterable[bytes],
    outputs: Outputs,
    existing: Iterable[ObjectColumns],
) -> None:
    """Items whose output exists are done; others whose job has ended failed.

    `index` is the text of the index in pieces. Of every output 76 bits are kept.
    """
    found = KeySet(existing)
    for line, key in enumerate(split_lines(index)):
        if outputs.key(key) in found:
            ledger.record(line, LineState.DONE)
        elif ledger.read(line) is LineState.UNCONFIRMED:
            ledger.record(line, LineState.FAILED, NO_OUTPUT)
