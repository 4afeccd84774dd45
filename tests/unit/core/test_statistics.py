"""Counting exchanges, tokens, times and money."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.core.statistics import GROUPINGS, Sample, collect, read_prices


def row(**fields: Any) -> dict[str, Any]:
    return {
        "id": "x",
        "started_at": "2026-11-25T10:00:00.000000000Z",
        "verdict": "complete",
        "chunks": 10,
        "bytes": 100,
    } | fields


def test_tokens_are_summed_over_exchanges_and_who_reported_none_is_told() -> None:
    rows = [row(tokens={"input": 3, "output": 2}), row(tokens={"input": 4}), row()]
    total, groups = collect(rows)
    assert groups == {}
    assert total.as_json(None) == {
        "exchanges": 3,
        "verdicts": {"complete": 3},
        "chunks": 30,
        "bytes": 300,
        "tokens": {"input": 7, "output": 2},
        "exchanges_with_tokens": 2,
        "exchanges_with_kinds": {"input": 2, "output": 1},
    }


@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("model", ["m", ""]),
        ("day", ["2026-11-25", "2026-11-26"]),
        ("conversation", ["desk", "c2"]),
        ("verdict", ["complete", "truncated"]),
        ("dialect", ["gemini", ""]),
    ],
)
def test_groups(by: str, names: list[str]) -> None:
    first = row(day="2026-11-25", model="m", conversation="c1", conversation_name="desk", dialect="gemini")
    second = row(day="2026-11-26", conversation="c2", verdict="truncated")
    total, groups = collect([first, second, second], by)
    assert {name: group.exchanges for name, group in groups.items()} == dict(zip(names, (1, 2), strict=True))
    assert total.exchanges == 3


def test_how_many_do_not_tell_when_they_were_sent() -> None:
    untimed = {name: value for name, value in row(day="2026-11-25").items() if name != "started_at"}
    total, groups = collect([untimed, row(day="2026-11-25")], "day")
    assert total.as_json(None)["exchanges_without_time"] == 1
    assert {name: (each.exchanges, each.untimed) for name, each in groups.items()} == {"2026-11-25": (2, 1)}
    assert "exchanges_without_time" not in collect([row()])[0].as_json(None)


def test_every_grouping_is_known() -> None:
    assert all(collect([row()], by)[1] for by in GROUPINGS)


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=300))
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(values: list[float]) -> None:
    sample = Sample()
    for value in values:
        sample.add(value)
    found = sample.percentiles()
    assert found is not None
    for percent in (50, 90, 99):
        value = found[f"p{percent}"]
        assert value in values
        assert sum(each <= value for each in values) >= math.ceil(percent / 100 * len(values))
        assert sum(each < value for each in values) < math.ceil(percent / 100 * len(values))
    assert found["max"] == max(values)


def test_what_was_not_measured_has_no_percentiles() -> None:
    total, _ = collect([row(), row(first_chunk_ms=None, duration_ms=0.0)])
    assert total.first_chunk_ms.percentiles() is None
    assert total.chunks_per_second.percentiles() is None
    assert "first_chunk_ms" not in total.as_json(None)


def test_chunks_a_second() -> None:
    total, _ = collect([row(duration_ms=500.0)])
    assert total.as_json(None)["chunks_per_second"] == {"p50": 20.0, "p90": 20.0, "p99": 20.0, "max": 20.0}


def test_money_comes_from_prices_and_reported_tokens_only() -> None:
    prices = read_prices({"m": {"input": 2, "output": 10, "cached": 0.5}})
    counted = {"input": 1_000_000, "output": 100_000, "cached": 400_000}
    rows = [row(model="m", tokens=counted), row(model="m"), row(model="other", tokens={"input": 5})]
    total, _ = collect(rows, None, prices)
    assert total.cost == pytest.approx(0.6 * 2 + 0.1 * 10 + 0.4 * 0.5)
    assert total.as_json(None)["exchanges_without_price"] == 1
    assert collect(rows)[0].cost is None


def test_reasoning_without_a_price_of_its_own_is_part_of_the_output() -> None:
    counted = {"output": 1_000_000, "reasoning": 600_000}
    (plain, _), (apart, _) = (
        collect([row(model="m", tokens=counted)], None, read_prices({"m": prices}))
        for prices in ({"output": 1}, {"output": 1, "reasoning": 2})
    )
    assert (plain.cost, apart.cost) == (pytest.approx(1.0), pytest.approx(0.4 + 1.2))


ANTHROPIC = {"input": 10, "cached": 1000, "cache_written": 500, "output": 5}
OPENAI = {"input": 1510, "cached": 1000, "cache_written": 500, "output": 105, "reasoning": 100}
GEMINI = {"input": 10, "output": 5, "reasoning": 100}


@pytest.mark.parametrize(
    ("dialect", "counted", "prices", "cost"),
    [
        ("anthropic_messages", ANTHROPIC, {"input": 1, "output": 1}, 1510 + 5),
        ("anthropic_messages", ANTHROPIC, {"input": 1, "output": 1, "cached": 0.1}, 510 + 100 + 5),
        (
            "anthropic_messages",
            ANTHROPIC,
            {"input": 1, "output": 1, "cached": 0.1, "cache_written": 1.25},
            10 + 100 + 625 + 5,
        ),
        ("bedrock_converse", ANTHROPIC, {"input": 1, "output": 1, "cached": 0, "cache_written": 0}, 10 + 5),
        ("gemini", GEMINI, {"input": 1, "output": 1}, 10 + 105),
        ("gemini", GEMINI, {"input": 1, "output": 1, "reasoning": 2}, 10 + 5 + 200),
        ("openai_responses", OPENAI, {"input": 1, "output": 1}, 1510 + 105),
        ("openai_responses", OPENAI, {"input": 1, "output": 1, "cached": 0.1, "reasoning": 2}, 510 + 100 + 5 + 200),
        ("openai_responses", OPENAI, {"input": 1, "cached": 0.1, "cache_written": 1.25}, 10 + 100 + 625),
    ],
)
def test_what_counts_hold_goes_by_dialect(
    dialect: str, counted: dict[str, int], prices: dict[str, float], cost: float
) -> None:
    one = row(model="m", dialect=dialect, tokens=counted)
    total, _ = collect([one], None, read_prices({"m": {kind: price * 1_000_000 for kind, price in prices.items()}}))
    assert total.cost == pytest.approx(cost)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "it has to be"),
        ({}, "it has to be"),
        ({"m": 3}, "prices of 'm' are no object"),
        ({"m": {"outputs": 3}}, "has a price for 'outputs'"),
        ({"m": {"output": -1}}, "is no number"),
        ({"m": {"output": True}}, "is no number"),
        ({"m": {"output": math.inf}}, "is no number"),
        ({"m": {"output": "1"}}, "is no number"),
    ],
)
def test_a_price_file_that_says_something_else_is_refused(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_prices(value)
