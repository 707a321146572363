# SPDX-License-Identifier: Apache-2.0
"""Finds which items have their output already, from a listing of outputs.

An output mapping (`{"prefix": "output/", "strip": ".jpg", "suffix": ".json"}`) turns the key of an
item into the key of its output. Of every output a keyed hash of 76 bits is kept: 12 bits select a
piece of the set, and the other 64 are stored there, sorted. Two different keys with the same hash
would leave out an item that is not done; with 10^7 outputs and 10^7 items the chance of one such
item in the whole run is 10^14 / 2^76, 1 in 755 million, and cannot be provoked: every process has a
hash key of its own.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from ..model.errors import ConfigError
from ..model.object_columns import ObjectColumns
from ..model.selection import Outputs
from ..model.service import Folder, Service

PIECES = 4096
REASON = "its output exists already (bucket.skip_done)"


def locate_outputs(
    outputs: Outputs | None, service: Service, data: Folder, setting: str
) -> Outputs | None:
    """The mapping with the place of the outputs. Raises ConfigError if they have none.

    `setting` is the config key that has the mapping.
    """
    if outputs is None:
        return None
    if outputs.of_service:
        if len(service.outputs) != 1:
            has = f"{len(service.outputs) or 'no'} output folders"
            raise ConfigError(
                [f"{setting}: {service.name} has {has}; name the bucket and the prefix"]
            )
        (folder,) = service.outputs
        outputs = replace(outputs, bucket=folder.bucket, prefix=folder.prefix, of_service=False)
    outputs = replace(outputs, bucket=outputs.bucket or data.bucket)
    own = (outputs.bucket, outputs.prefix) == (data.bucket, outputs.folder)
    if own and outputs.strip == outputs.suffix:
        raise ConfigError(
            [f"{setting}: {data} would make every item its own output; give a suffix"]
        )
    return outputs


class KeySet:
    """A set of keys in 8.5 bytes each; may be wrong once in 2^76 / its size."""

    def __init__(self, batches: Iterable[ObjectColumns]) -> None:
        self._pieces = [array("Q") for _ in range(PIECES)]
        for batch in batches:
            for key in batch.keys:
                self._pieces[_choose_piece(key)].append(hash(key) % 2**64)
        for i, piece in enumerate(self._pieces):
            self._pieces[i] = array("Q", sorted(piece))

    def __contains__(self, key: bytes) -> bool:
        number, piece = hash(key) % 2**64, self._pieces[_choose_piece(key)]
        position = bisect_left(piece, number)
        return position < len(piece) and piece[position] == number


def _choose_piece(key: bytes) -> int:
    """By another hash: bits of the stored one would add no information."""
    return hash(b"/" + key) % PIECES


class DoneFilter:
    """Drops the items that have their output already, and reports them."""

    def __init__(
        self,
        outputs: Outputs,
        existing: Iterable[ObjectColumns],
        skip: Callable[[Sequence[bytes], str], None],
    ) -> None:
        """`existing` are the outputs; `skip` is called with the items that are done."""
        self._outputs = outputs
        self._existing = KeySet(existing)
        self._skip = skip

    def drop_done(self, batches: Iterable[ObjectColumns]) -> Iterator[ObjectColumns]:
        """The items of each batch whose output does not exist."""
        key_of = self._outputs.key
        for batch in batches:
            missing = [key_of(key) not in self._existing for key in batch.keys]
            if all(missing):
                yield batch
                continue
            self._skip(batch.filter(not each for each in missing).keys, REASON)
            if any(missing):
                yield batch.filter(missing)
