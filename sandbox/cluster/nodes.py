# SPDX-License-Identifier: Apache-2.0
"""The nodes of the cluster: added, changed and removed while the sandbox runs.

`resources` defines a node. `jobs` ends the processes of a node that is removed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from .resources import Node, parse_nodes


class Nodes:
    """All nodes, in the order in which they were added."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._nodes = {node.name: node for node in nodes}
        self._ever = len(nodes)

    def __iter__(self) -> Iterator[Node]:
        return iter(tuple(self._nodes.values()))

    def get(self, name: str) -> Node | None:
        return self._nodes.get(name)

    def add(self, text: str) -> tuple[Node, ...]:
        """Add nodes, written as for `--nodes`; the number of a removed node is not used again."""
        added = parse_nodes(text, first=self._ever + 1)
        self._ever += len(added)
        self._nodes.update((node.name, node) for node in added)
        return added

    def change(self, name: str, **what: float | bool) -> Node:
        node = replace(self._nodes[name], **what)  # type: ignore[arg-type]
        self._nodes[name] = node
        return node

    def remove(self, name: str) -> None:
        del self._nodes[name]
