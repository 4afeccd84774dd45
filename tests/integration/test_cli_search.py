"""``recorder search`` on both engines, projected or not."""

from __future__ import annotations

from contextlib import closing
from itertools import product
from typing import Any

import pytest

from recorder.clock import id_text
from recorder.projections.runner import project
from recorder.store import open_store
from recorder.store.projected import SqlProjected
from recorder.store.schema import upgrade
from tests.building import ExchangeBuilder, delta, identity
from tests.commands import STREAMED, answered, asking, fill, identity_of, json_lines, run, told
from tests.conftest import ENGINES, Sharing

ANSWER = "Hold EURUSD until 1.0850"
FIRST = answered(1, ("system", "You trade."), ("user", "Sell the Café?"), text=ANSWER)
# The history is sent back, the answer with it.
SECOND = answered(
    2,
    *(("system", "You trade."), ("user", "Sell the Café?"), ("assistant", ANSWER), ("user", "Take profit now")),
    text="Done, the stop is gone",
)


def calling(number: int) -> ExchangeBuilder:
    call = {"index": 0, "id": "c1", "function": {"name": "place_order", "arguments": '{"side": "sell\\u0021"}'}}
    built = asking(number, ("user", "go"), conversation=id_text(identity(9)), name="desk")
    return built.response(headers=STREAMED).sse(delta(tool_calls=[call]), delta(finish="tool_calls")).completed()


def opening(number: int, name: str, **tags: str) -> ExchangeBuilder:
    return ExchangeBuilder(number).event("conversation_named", {"name": name}).event("tags_set", {"tags": tags})


PROJECTED = {"projected": 4, "half": 2, "fresh": 0}


@pytest.fixture(scope="module", params=[*product(ENGINES, PROJECTED)], ids="-".join)
def url(request: pytest.FixtureRequest, shared_store: Sharing) -> str:
    engine, state = request.param
    built = [FIRST, opening(9, "desk", bot="elion"), calling(3), SECOND]

    def made(url: str) -> None:
        fill(url, *built[: PROJECTED[state]])
        with closing(open_store(url, write=True)) as store:
            project(store, SqlProjected(store))
        fill(url, *built[PROJECTED[state] :])

    return shared_store(engine, made)


def hits(url: str, *arguments: str) -> list[dict[str, Any]]:
    return json_lines(run("search", "--json", "--store", url, *arguments), "search")


def places(url: str, *arguments: str) -> list[tuple[str, str, int]]:
    return [(hit["exchange"], hit["side"], hit["place"]) for hit in hits(url, *arguments)]


A, B, C = (identity_of(built) for built in (FIRST, SECOND, calling(3)))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (["eurusd"], [(A, "answered", 0)]),  # also sent back by the second, as what it is
        (["cafe"], [(A, "sent", 1)]),
        (["CAFÉ", "sell"], [(A, "sent", 1)]),
        (["trade"], [(A, "sent", 0)]),  # sent twice, found where it was first
        (["the"], [(B, "answered", 0), (A, "sent", 1)]),
        (["the", "-cafe"], [(B, "answered", 0)]),
        (["-cafe", "the"], [(B, "answered", 0)]),
        (["the -sell"], [(B, "answered", 0)]),
        (["take profit"], [(B, "sent", 3)]),
        (['"take profit"'], [(B, "sent", 3)]),
        (["profit take"], []),
        (["profit", "take"], [(B, "sent", 3)]),
        (["1.0850"], [(A, "answered", 0)]),
        (["0850 1"], []),
        (["prof*"], [(B, "sent", 3)]),
        (["prof"], []),
        (["sell"], [(C, "answered", 0), (A, "sent", 1)]),  # in the arguments of a call
        (["place_order"], [(C, "answered", 0)]),
        (["place*", "sell"], [(C, "answered", 0)]),
        (["AND"], []),
        (["NEAR(the, 5)"], []),
        (['the"'], [(B, "answered", 0), (A, "sent", 1)]),
        (["text:the^'%:*&|!()"], []),
        (["the", "!", "&", ")", "*"], [(B, "answered", 0), (A, "sent", 1)]),
        (["--", "-cafe", "the"], [(B, "answered", 0)]),
    ],
)
def test_what_is_found(url: str, query: list[str], expected: list[tuple[str, str, int]]) -> None:
    assert places(url, *query) == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--model", "m-2"], []),
        (["--model", "m-1"], [C, A]),
        (["--tool", "place_order"], [C]),
        (["--tool", "place"], []),
        (["--finish", "tool_calls"], [C]),
        (["--finish", "stop"], [A]),
        (["--tag", "bot=elion"], [C]),
        (["--tag", "bot=other"], []),
        (["--tag", "bot=elion", "--tag", "x=y"], []),
        (["--conversation", "desk"], [C]),
        (["--verdict", "truncated"], []),
        (["--status", "200"], [C, A]),
        (["--model", "m-2", "--model", "m-1"], [C, A]),
        (["--tool", "place", "--tool", "place_order"], [C]),
        (["--finish", "stop", "--finish", "tool_calls"], [C, A]),
        (["--verdict", "complete", "--verdict", "truncated"], [C, A]),
        (["--status", "200", "--status", "404", "--finish", "stop"], [A]),
        (["--conversation", "desk", "--conversation", A], [C, A]),
        (["--until", "1999-01-01"], []),
        (["-n", "1"], [C]),
        (["-n1"], [C]),
        (["-n", "9" * 30], [C, A]),
    ],
)
def test_filters(url: str, options: list[str], expected: list[str]) -> None:
    assert [hit["exchange"] for hit in hits(url, *options, "sell")] == expected
    if "-n" not in options[0]:
        listed = json_lines(run("list", *options, "--json", "--store", url), "list")
        assert {row["id"] for row in listed} & {A, C} == set(expected)


def test_a_hit_tells_where_it_stands(url: str) -> None:
    (hit,) = hits(url, "place_order")
    assert (hit["conversation"], hit["conversation_name"]) == (id_text(identity(9)), "desk")
    assert (hit["finish"], hit["verdict"], hit["status"], "role" in hit) == ("tool_calls", "complete", 200, False)
    (hit,) = hits(url, "until", "EURUSD")
    assert hit["passage"] == [
        {"text": "Hold "},
        {"text": "EURUSD", "found": True},
        {"text": " "},
        {"text": "until", "found": True},
        {"text": " 1.0850"},
    ]
    assert (hit["role"], "conversation" in hit) == ("assistant", False)


def test_the_best_come_first(url: str) -> None:
    assert {hit["exchange"] for hit in hits(url, "--best", "the")} == {A, B}


def test_for_people(url: str) -> None:
    done = run("search", "take profit", "--store", url)
    head, passage = done.stdout.splitlines()
    assert head.startswith(f"{B[-8:]}  ")
    assert "sent  user  m-1  complete" in head
    assert passage == "    [Take] [profit] now"
    assert run("search", "the", "-n", "1", "--store", url).stderr == "there are more: give -n, as in -n 5\n"
    none = run("search", "nowhere", "--store", url)
    assert (none.exit_code, none.stdout, none.stderr) == (0, "", "nothing is recorded that fits\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-cafe"], "no word is wanted"),
        (["?!"], "no word is wanted"),
        (["x", "--tag", "bot"], "'bot' is no tag: write NAME=VALUE"),
        (["x", "--finish", "bored"], "'bored' is not one of"),
        ([], "WORDS"),
    ],
)
def test_what_cannot_be_searched_is_one_line(store_url: str, arguments: list[str], message: str) -> None:
    upgrade(store_url)
    assert message in told(run("search", *arguments, "--store", store_url), 2)
