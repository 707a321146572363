# SPDX-License-Identifier: Apache-2.0
"""The report's forms: documented JSON, an escaped page, a few lines for the terminal."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from coordinator.model.errors import Ending
from coordinator.model.items import Index, Item
from coordinator.model.planning import ChunkRules, Cost
from coordinator.model.pull.findings import Accounts, ItemFailure, Worker
from coordinator.model.run import Outcome, Plan, Report, State
from coordinator.plan.choose import choose_chunks
from coordinator.report.document import write_report
from coordinator.report.page import MAX_ROWS, render_page
from coordinator.report.text import render_chunks, render_summary
from coordinator.run.store import render_files
from tests.unit import make

SCHEMA = json.loads(
    (Path(__file__).parents[3] / "docs" / "report.schema.json").read_text(encoding="utf-8")
)
HOSTILE = "<script>alert('x')</script>&\"\u202e\x1b[31m"


def full(ending: Ending = Ending.SUBMITTED, *, key: str = "a\nb", detail: str = "ok") -> Report:
    """A report with something in every place."""
    items = [Item("data/1", 10), Item(key, 1), Item("data/2", 2**21), Item("data/3", 0)]
    cost = Cost(5.0, 1.0, 0.0, (0.5, 1.0), detail)
    _, choice = choose_chunks(make.index([1] * 500), 3, ChunkRules(), cost)
    index = replace(make.indexed(items), left_out={"bucket.exclude": 2})
    plan = replace(make.plan(of=index), choice=choice, oversized=(Item(key, 2**40),))
    states = (State.INVOKED, State.FAILED, State.UNCERTAIN)
    outcomes = tuple(
        Outcome(chunk, state, 1, f"job-{chunk.number}", detail)
        for chunk, state in zip(plan.chunks, states, strict=True)
    )
    return replace(
        make.report(ending, of=plan, settled=outcomes, message=detail, problems=(detail,)),
        warnings=(detail,),
        setting={"service": "target"},
    )


def document(report: Report) -> Any:
    content, _ = render_files(report)["report.json"]
    return json.loads(content)


def followed(*, key: str = "a\nb", detail: str = "ok") -> Report:
    """A report of pull mode with more failures than it names."""
    failure = ItemFailure(key, detail, "exit", 2, f"first line\n{detail}")
    worker = Worker("0001-00001", 1, "job-1", "invoked", detail=detail)
    report = full(Ending.PARTLY_DONE, key=key, detail=detail)
    return replace(report, accounts=Accounts(2, 2, 0, failures=(failure,)), workers=(worker,))


def test_failed_items_are_named_with_reason_and_stderr() -> None:
    report = followed(key="input/a.jpg", detail="no such fish")
    summary, page, written = render_summary(report), render_page(report), document(report)
    assert "failed: input/a.jpg: no such fish (no such fish)" in summary
    assert "1 more failed items, see failed.jsonl" in summary
    assert "input/a.jpg" in page.replace("<wbr>", "")
    assert "1 of 2 failed items, all in failed.jsonl" in page
    assert "unconfirmed" not in summary
    jsonschema.Draft202012Validator(SCHEMA).validate(written)
    assert (written["confirmed"], written["accounts"]["failed"]) == (True, 2)
    assert written["workers"][0]["name"] == "0001-00001"


def test_what_a_program_wrote_is_text_and_nothing_else() -> None:
    report = followed(key=HOSTILE, detail=HOSTILE)
    assert "<script>alert" not in render_page(report)
    (line,) = [each for each in render_summary(report).splitlines() if "  failed: " in each]
    assert not set("\x1b\u202e") & set(line)


def test_the_schema_is_a_valid_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("ending", Ending)
@pytest.mark.parametrize("made", [full, make.report], ids=["full", "ended early"])
def test_every_ending_has_a_report_as_documented(ending: Ending, made: Any) -> None:
    checker = jsonschema.Draft202012Validator(SCHEMA)
    checker.validate(document(made(ending)))


def _objects(schema: Any) -> list[Any]:
    if isinstance(schema, list):
        return [found for part in schema for found in _objects(part)]
    if not isinstance(schema, dict):
        return []
    inner = [found for part in schema.values() for found in _objects(part)]
    return [schema, *inner] if "properties" in schema and "type" in schema else inner


def test_every_field_is_described_and_no_other_is_allowed() -> None:
    for found in _objects(SCHEMA):
        assert found["additionalProperties"] is False
        assert set(found["required"]) == set(found["properties"])
        for name, field in found["properties"].items():
            assert field.get("description") or field.get("anyOf"), name


def test_the_schema_knows_every_ending_and_every_state() -> None:
    fields = SCHEMA["properties"]
    assert set(fields["ending"]["enum"]) == set(Ending)
    assert set(fields["exit_code"]["enum"]) == {ending.exit_code for ending in Ending} | {None}
    assert set(fields["chunks"]["items"]["properties"]["state"]["enum"]) == set(State)


def read_share(page: str, name: str) -> str | None:
    """The number above a name in the row of numbers; None if it is not there."""
    found = re.search(rf"<b>([^<]+)</b><span>(?:<i[^>]*></i>)?{name}</span>", page)
    return found and found[1]


@pytest.mark.parametrize("report", [full(), make.report(), make.report(of=make.plan())])
def test_listed_is_the_sum_of_the_other_counts(report: Report) -> None:
    counts = report.count_items()
    listed = counts.pop("listed")
    assert listed == sum(counts.values())


def test_the_counts_of_a_mixed_run() -> None:
    assert full().count_items() == {
        "listed": 6,
        "done": 0,
        "failed": 1,
        "pending": 2,
        "skipped": 1,
        "left_out": 2,
    }


def test_chunks_of_a_plan_that_was_not_acted_on_are_pending() -> None:
    chunks = write_report(make.report(Ending.PLANNED, of=make.plan()))["chunks"]
    assert [(c["start"], c["end"], c["state"]) for c in chunks] == [
        (1, 1, "pending"),
        (2, 2, "pending"),
        (3, 3, "pending"),
    ]


def test_items_that_were_handed_over_are_unconfirmed_and_not_pending() -> None:
    invoked, planned = full(), make.report(Ending.PLANNED, of=make.plan())
    assert read_share(render_page(invoked), "unconfirmed") == "2"
    assert read_share(render_page(invoked), "pending") is None
    assert "  done: unconfirmed" in render_summary(invoked)
    assert read_share(render_page(planned), "pending") == "3"
    assert "unconfirmed" not in render_summary(planned)
    folder = make.plan().folder
    where = f"  report: {folder.bucket}/{folder.prefix}report.html"
    assert render_summary(invoked).endswith(where)
    assert where not in render_summary(planned), "a dry run leaves none"


@pytest.mark.parametrize(
    "report",
    [full(key=f"{HOSTILE}\n"), full(detail=HOSTILE), make.report(message=HOSTILE)],
    ids=["key", "detail", "message"],
)
def test_the_page_escapes_what_is_hostile(report: Report) -> None:
    page = render_page(report)
    assert page.count("<script") == 1  # our own
    assert "&lt;script&gt;" in page


def test_control_characters_of_a_key_are_escaped_on_the_page() -> None:
    page = render_page(full(key=HOSTILE, detail=HOSTILE))
    assert r"\u202e\x1b[31m" in page
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", page)


def test_the_page_needs_nothing_from_elsewhere() -> None:
    page = render_page(full())
    assert not re.findall(r"src\s*=|<link|<base|url\(|@import|fetch\(|https?://", page)


@pytest.mark.parametrize("ending", Ending)
def test_every_ending_has_a_page_that_names_it(ending: Ending) -> None:
    assert str(ending) in render_page(make.report(ending))


def test_text_that_is_no_unicode_can_still_be_written() -> None:
    content, _ = render_files(full(key="\ud800"))["report.html"]
    assert b"not valid Unicode" in content


def test_the_page_of_many_chunks_shows_the_first_and_counts_the_rest() -> None:
    plan = make.plan([1] * (MAX_ROWS + 7), slots=MAX_ROWS + 7)
    page = render_page(make.report(of=plan))
    assert f">{MAX_ROWS} to {MAX_ROWS}</td>" in page
    assert f">{MAX_ROWS + 1} to {MAX_ROWS + 1}</td>" not in page
    assert f"{MAX_ROWS} of {MAX_ROWS + 7} chunks, all in report.json" in page


def test_the_page_says_that_nothing_is_confirmed() -> None:
    assert "unconfirmed" in render_page(full())


def test_the_summary_names_ending_problems_capacity_and_warnings() -> None:
    lines = render_summary(full(detail="what happened")).splitlines()
    assert [line.strip().partition(":")[0] for line in lines] == [
        "submitted",
        "problem",
        "capacity",
        "index",
        "plan",
        "skipped",
        "left out",
        "done",
        "warning",
        "report",
    ]


def test_the_summary_of_a_long_plan_shows_both_ends() -> None:
    lines = render_chunks(make.plan([1] * 50, slots=50).chunks).splitlines()
    assert (len(lines), "30 more chunks" in lines[10]) == (21, True)


def test_a_plan_of_nothing_has_a_page() -> None:
    empty: Plan = make.plan(of=Index(0, 0))
    assert "nothing to do" in render_page(make.report(Ending.NOTHING_TO_DO, of=empty))


def test_the_page_shows_the_candidates_and_why_one_won() -> None:
    page = render_page(full())
    assert "Why 3 chunks" in page
    assert page.count("<td>factoring</td>") >= 1
    assert "Large items" in page


def test_a_plan_without_known_times_shows_none() -> None:
    plan = make.plan()
    chunks, choice = choose_chunks(make.index([10, 20, 30]), 3, ChunkRules(), Cost())
    shown = write_report(make.report(of=replace(plan, chunks=chunks, choice=choice)))
    assert shown["strategy"]["estimate"] is None
    assert "about" not in render_summary(
        make.report(of=replace(plan, chunks=chunks, choice=choice))
    )


def test_every_form_says_what_each_rule_left_out() -> None:
    left_out = {"bucket.include": 3, "folder markers": 1}
    report = make.report(of=make.plan(of=Index(2, 5, left_out=left_out)))
    assert write_report(report)["index"]["left_out"] == left_out
    assert "left out: 3 by bucket.include, 1 by folder markers" in render_summary(report)
    assert "3 by bucket.include" in render_page(report)
