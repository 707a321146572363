# SPDX-License-Identifier: Apache-2.0
"""The reasons of the failed items, the most frequent first, in every mode."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from ..model.pull.findings import ItemFailure
from ..model.pull.history import MOST_EXAMPLES, FailureGroup
from ..model.run import Report


@dataclass(frozen=True, slots=True)
class Reasons:
    """Why items failed, and which failures were counted."""

    title: str
    groups: tuple[FailureGroup, ...]
    ungrouped: int = 0


def find_reasons(report: Report) -> Reasons | None:
    """The reasons; None if no item failed.

    In pull mode the history counts every failure of every round. In other modes only the first
    failed items are in the report.
    """
    accounts, history = report.accounts, report.history
    if accounts is None or not accounts.failed:
        return None
    failed = f"{accounts.failed:,} {'item' if accounts.failed == 1 else 'items'}"
    if history is None or not history.groups:
        first = len(accounts.failures)
        whole = first == accounts.failed
        title = f"Why {failed} failed" if whole else f"Why the first {first:,} of {failed} failed"
        return Reasons(title, group_failures(accounts.failures))
    counted = sum(group.count for group in history.groups) + history.ungrouped
    title = f"Why {failed} failed"
    if counted > accounts.failed:
        title = f"{counted:,} failures in all rounds; {failed} failed in the end"
    return Reasons(title, history.groups, history.ungrouped)


def group_failures(failures: Iterable[ItemFailure]) -> tuple[FailureGroup, ...]:
    """Failed items by their reasons, the most frequent first."""
    found: dict[tuple[str, str], list[ItemFailure]] = defaultdict(list)
    for failure in failures:
        found[failure.kind, failure.reason].append(failure)
    groups = [
        FailureGroup(reason, kind, len(same), tuple(same[:MOST_EXAMPLES]))
        for (kind, reason), same in found.items()
    ]
    return tuple(sorted(groups, key=lambda group: -group.count))
