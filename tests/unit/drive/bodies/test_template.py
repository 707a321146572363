# SPDX-License-Identifier: Apache-2.0
"""`service.payload`: what a template may say, and that no template costs time or memory."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.drive.bodies.template import (
    RESERVED,
    SAMPLE,
    PayloadTemplate,
    Values,
    find_template_problems,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def rendered(text: str, **values: str | int) -> Any:
    return json.loads(PayloadTemplate(text).render({**SAMPLE, **values}))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param('{"from":{{ start }},"to":{{ end }}}', {"from": 1, "to": 250}, id="numbers"),
        pytest.param('{"n": {{ end - start + 1 }}}', {"n": 250}, id="arithmetic"),
        pytest.param('{"n": {{ start - 1 }}, "k": {{ -(7 % 4) }}}', {"n": 0, "k": -3}, id="zero"),
        pytest.param('{"b": {{ bucket | tojson }}}', {"b": "bucket"}, id="a text as JSON"),
        pytest.param('{"b": "{{ bucket|upper }}"}', {"b": "BUCKET"}, id="upper"),
        pytest.param('{"p": {{ (bucket ~ "/" ~ index) | tojson }}}', None, id="joined"),
        pytest.param('{"x": {{ 1 if chunk > 1 else 2 }}}', {"x": 2}, id="a choice"),
        pytest.param("{% if items == 250 %}{}{% else %}x{% endif %}", {}, id="if"),
        pytest.param('{\n  "a b": [1, 2.5, null, true]\n}\n', {"a b": [1, 2.5, None, True]},
                     id="no variable"),
        pytest.param("{}{# a comment #}", {}, id="a comment"),
    ],
)  # fmt: skip
def test_a_template_gives_a_json_object(text: str, expected: object) -> None:
    assert expected is None or rendered(text) == expected
    assert find_template_problems(text) == []


@given(TEXT)
def test_any_text_survives_as_json(text: str) -> None:
    assert rendered('{"x": {{ index | tojson }}}', index=text) == {"x": text}


@given(TEXT)
def test_a_text_without_tojson_is_json_or_refused_and_never_another_key(text: str) -> None:
    template = PayloadTemplate('{"x": "{{ index }}"}')
    try:
        body = json.loads(template.render({**SAMPLE, "index": text}))
    except ValueError:
        return
    assert RESERVED.isdisjoint(body)


@pytest.mark.parametrize("name", SAMPLE)
def test_every_variable_can_be_used(name: str) -> None:
    assert rendered(f'{{"x": {{{{ {name} | tojson }}}}}}') == {"x": SAMPLE[name]}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param('{"a":\n{{ strat }}}', "line 2: strat is not a variable; did you mean start?",
                     id="unknown"),
        pytest.param("{{ password }}", "line 1: password is not a variable; known: start, end",
                     id="nothing like it"),
        pytest.param("{\n\n{{ start }", "line 3: unexpected '}'", id="syntax"),
        pytest.param("\n{% for x in y %}{% endfor %}", "line 2: for is not allowed", id="loop"),
        pytest.param("{% set x = 1 %}{}", "line 1: assign is not allowed", id="set"),
        pytest.param("{{ bucket.upper() }}", "line 1: call is not allowed", id="call"),
        pytest.param("{{ bucket.__class__ }}", "line 1: getattr is not allowed", id="attribute"),
        pytest.param("{{ bucket[0] }}", "line 1: getitem is not allowed", id="item"),
        pytest.param("{% include 'x' %}", "line 1: include is not allowed", id="include"),
        pytest.param("{{ 2 ** 9 }}", "line 1: pow is not allowed", id="power"),
        pytest.param("{{ bucket | safe }}", "line 1: safe is not a filter here; there are tojson",
                     id="filter"),
        pytest.param("{{ bucket | trim(chars='x') }}", "the filter trim takes no arguments",
                     id="named argument"),
        pytest.param("{{ bucket | trim(*bucket) }}", "the filter trim takes no arguments",
                     id="arguments of a list"),
        pytest.param("{{ bucket | trim(**bucket) }}", "the filter trim takes no arguments",
                     id="named arguments of a list"),
        pytest.param("{{ bucket | trim('x') }}", "line 1: the filter trim takes no arguments",
                     id="arguments"),
        pytest.param("\n{{ bucket * 9 }}", "line 2: * takes numbers only; ~ joins texts", id="*"),
        pytest.param("\n\n{{ start / 0 }}", "line 3: division by zero", id="division"),
        pytest.param("{{ bucket | int }}", "line 1: invalid literal for int", id="int"),
        pytest.param("x" * 16_385, "has 16385 characters: a template has at most", id="long"),
        pytest.param("{{" + "(" * 9000 + "1" + ")" * 7000, "", id="deep"),
        pytest.param("{{ " + "not " * 1500 + "1 }}", "", id="deep expression"),
        pytest.param("{% if 1 %}" * 150 + "{}" + "{% endif %}" * 150, "is nested too deeply",
                     id="deep if"),
        pytest.param("start: {{ start }}", "the result is not JSON: Expecting value at line 1",
                     id="text"),
        pytest.param("[{{ start }}]", "the result must be a JSON object, and is [1]", id="list"),
        pytest.param("{{ start }}", "the result must be a JSON object, and is 1", id="number"),
        pytest.param(" ", "the result is not JSON", id="empty"),
        pytest.param('{"a": NaN}', "", id="not a number"),
        pytest.param("[" * 16_000, "", id="deep result"),
    ],
)  # fmt: skip
def test_a_problem_is_named_with_its_line(text: str, problem: str) -> None:
    (found,) = find_template_problems(text)
    assert found.startswith("service.payload: ")
    assert problem in found


@pytest.mark.parametrize("key", sorted(RESERVED))
def test_a_key_of_the_supervisor_is_refused_at_the_top_alone(key: str) -> None:
    assert f"the key {key} makes" in find_template_problems(f'{{"{key}": 1}}')[0]
    assert rendered(f'{{"x": {{"{key}": 1}}}}') == {"x": {key: 1}}


BOMBS = [
    "{% for i in range(1000000000) %}x{% endfor %}",
    "{{ 'x' * 1000000000 }}",
    "{{ '%0999999999d' % 1 }}",
    "{{ 'x' | center(1000000000) }}",
    "{{ 9 ** 9 ** 9 }}",
    "{{ " + " * ".join(["9" * 80] * 190) + " }}",
    "{{ '\\\\\\\\'" + " | tojson" * 1500 + " }}",
    "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
    "{{ lipsum(1000000) }}",
    "{{ '" + "x" * 16_000 + "' }}",
    '{"a": {{ ' + "1 + " * 4000 + "1 }}}",
    "{{ 1" + "e9" * 2 + " }}",
]


@pytest.mark.parametrize("text", BOMBS, ids=range(len(BOMBS)))
def test_no_template_takes_long(text: str) -> None:
    started_s = time.process_time()
    find_template_problems(text)
    assert time.process_time() - started_s < 3


def test_a_body_that_no_job_starts_with_is_refused() -> None:
    values: Values = {**SAMPLE, "index": "x" * 40_000}
    one, four = '{"x": "{{ index }}"}', '{"x": "{{ index }}{{ index }}{{ index }}{{ index }}"}'
    assert len(PayloadTemplate(one).render(values)) == 40_008
    with pytest.raises(ValueError, match=r"^the result is longer than a body can be"):
        PayloadTemplate(four).render(values)
    with pytest.raises(ValueError, match="no job starts with more than 131,065"):
        PayloadTemplate(one).render({**SAMPLE, "index": "*" * 40_000})


def test_the_longest_template_and_the_longest_body_are_taken() -> None:
    assert find_template_problems("{}" + " " * 16_382) == []
    template, text = PayloadTemplate('{"x":"{{ index }}"}'), "x" * (131_065 - len('{"x":""}'))
    assert len(template.render({**SAMPLE, "index": text})) == 131_065
    with pytest.raises(ValueError, match="longer"):
        template.render({**SAMPLE, "index": text + "x"})


def test_of_several_keys_of_the_supervisor_the_first_is_named() -> None:
    assert "the key event makes" in find_template_problems('{"payload": 1, "event": 2}')[0]


def test_without_a_template_nothing_is_wrong() -> None:
    assert find_template_problems("") == []
