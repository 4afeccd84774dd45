"""Answers that pause, and the requests that go on with them."""

from __future__ import annotations

from typing import Any

import pytest

from recorder.core.conversation import Relation
from recorder.core.exchange import fold
from recorder.core.history import relate
from recorder.core.rebuilt import Rebuilt
from recorder.dialects.rebuild import rebuild
from recorder.formats.base import render
from tests.building import ExchangeBuilder

URL = "https://ai.example/v1beta/models/g:streamGenerateContent?alt=sse"
ASKED = ("user", "hi")


def hop(number: int, *contents: Any, say: str | dict[str, Any] = "", **told: Any) -> Rebuilt:
    """An exchange of Gemini; it goes on with the answer of *resumes*, and pauses with the token *pauses*."""
    sent = [one if isinstance(one, dict) else {"role": one[0], "parts": [{"text": one[1]}]} for one in contents]
    resumes, token = told.get("resumes"), told.get("pauses")
    body = {"contents": sent, **({} if resumes is None else {"continuationToken": resumes})}
    body = {"model": "g", "request": body} if told.get("wrapped") else body
    part = {"text": say} if isinstance(say, str) else say
    candidate = {"content": {"role": "model", "parts": [part]}, "index": 0}
    ended = {"finishReason": "STOP"} if token is None else {"finishReason": "CONTINUATION", "continuationToken": token}
    builder = ExchangeBuilder(number).request(body, url=URL, call=f"call-{number}").response()
    builder = builder.sse({"candidates": [candidate | (ended if told.get("ends", True) else {})]}, done=False)
    exchange = fold(builder.completed().events)
    assert exchange is not None
    return rebuild(exchange)


def model(*texts: str) -> dict[str, Any]:
    return {"role": "model", "parts": [{"text": text} for text in texts]}


def related(*exchanges: Rebuilt) -> list[Relation]:
    found = relate(exchanges)
    return [found[one.id] for one in exchanges]


def test_an_answer_that_pauses_has_no_complete_call() -> None:
    call = {"functionCall": {"name": "buy", "args": {"lots": 1}}}
    paused, whole = hop(1, ASKED, say=call, pauses="dG9r"), hop(1, ASKED, say=call)
    for one, finish, complete in ((paused, "paused", False), (whole, "stop", True)):
        (choice,) = one.answer.choices
        assert (choice.finish, [made.complete for made in choice.message.tool_calls]) == (finish, [complete])
    assert paused.answer.choices[0].finish_reason == "CONTINUATION"


BACK = ([model("Hel", "lo", "!")], [("model", "Hello!")], [("model", "Hello"), ("model", "!")])


@pytest.mark.parametrize("back", BACK)
@pytest.mark.parametrize("wrapped", [False, True])
def test_requests_with_the_token_go_on_and_the_joined_answer_is_what_was_said(back: list[Any], wrapped: bool) -> None:
    hops = [
        hop(1, ASKED, say="Hel", pauses="+/8="),
        hop(2, ASKED, say="lo", pauses="second", resumes="-_8", wrapped=wrapped),
        hop(3, ASKED, say="!", resumes="second", wrapped=wrapped),
        hop(4, ASKED, *back, ("user", "more"), say="Yes", wrapped=wrapped),
    ]
    found = related(*hops)
    assert [(one.kind, one.of) for one in found] == [
        ("begins", None),
        *(("continues", before.id) for before in hops[:3]),
    ]
    assert not any(one.findings for one in found)


def test_what_was_changed_in_the_joined_answer_is_told() -> None:
    hops = [hop(1, ASKED, say="Sell", pauses="t"), hop(2, ASKED, say=" 5", resumes="t")]
    edited = hop(3, ASKED, model("Sell", " 50"), ("user", "more"))
    *_, found = related(*hops, edited)
    assert (found.kind, found.of) == ("continues", hops[1].id)
    assert [one.kind for one in found.findings] == ["answer_edited"]


def test_the_same_token_again_asks_again() -> None:
    first = hop(1, ASKED, say="Hel", pauses="t")
    for ends, kind in ((False, "retries"), (True, "regenerates")):
        hops = [first, hop(2, ASKED, say="lo", resumes="t", ends=ends), hop(3, ASKED, say="lo!", resumes="t")]
        found = related(*hops)
        assert [one.kind for one in found] == ["begins", "continues", kind]
        assert found[2].of == hops[1].id


def test_a_token_that_nobody_gave_says_nothing() -> None:
    hops = [hop(1, ASKED, say="Hello"), hop(2, ASKED, model("Hello"), ("user", "more"), resumes="t")]
    assert [one.kind for one in related(*hops)] == ["begins", "continues"]
    assert related(hop(1, ASKED, resumes="t"))[0].kind == "begins"


def test_an_answer_that_the_program_began_goes_on_too() -> None:
    asked = (ASKED, ("model", "He"))
    hops = [hop(1, *asked, say="l", pauses="t"), hop(2, *asked, say="l", pauses="u", resumes="t")]
    hops += [hop(3, *asked, say="o", resumes="u"), hop(4, ASKED, ("model", "Hello"), ("user", "more"))]
    found = related(*hops)
    assert [one.kind for one in found] == ["begins", "continues", "continues", "continues"]
    assert not any(one.findings for one in found)


def test_a_pause_before_anything_was_said() -> None:
    hops = [hop(1, ASKED, pauses="t"), hop(2, ASKED, say="Hello", resumes="t")]
    found = related(*hops, hop(3, ASKED, ("model", "Hello"), ("user", "more")))
    assert [(one.kind, one.findings) for one in found[1:]] == [("continues", ())] * 2


def test_the_end_of_an_answer_is_no_example_of_one() -> None:
    end = hop(2, ASKED, say="lo", resumes="t")
    for name in ("openai-jsonl", "sharegpt"):
        assert list(render(name, [end])) == []
        assert len(list(render(name, [hop(2, ASKED, say="Hello")]))) == 1


def test_what_was_changed_in_the_contents_that_are_sent_again_is_told_once() -> None:
    said = (ASKED, ("model", "do not buy"), ("user", "why"))
    false = (ASKED, ("model", "BUY NOW"), ("user", "why"))
    first, paused = hop(1, ASKED, say="do not buy"), hop(2, *said, say="part one ", pauses="t")
    on = hop(3, *false, say="part two", resumes="t")
    after = hop(4, *false, ("model", "part one part two"), ("user", "more"), say="so")
    found = related(first, paused, on, after)
    assert [(one.kind, one.of) for one in found[2:]] == [("continues", paused.id), ("continues", on.id)]
    assert [[fact.kind for fact in one.findings] for one in found] == [[], [], ["answer_edited"], []]
    begun = hop(3, *said, ("model", "part one"), say="part two", resumes="t")
    assert not related(first, paused, begun)[2].findings
    changed = hop(3, *said, ("model", "BUY NOW"), say="part two", resumes="t")
    assert [fact.kind for fact in related(first, paused, changed)[2].findings] == ["answer_edited"]
    dropped = hop(3, ("user", "why"), say="part two", resumes="t")
    assert [fact.kind for fact in related(first, paused, dropped)[2].findings] == ["older_messages_dropped"]
