"""Markdown, JSON and JSON Lines."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import recorder.formats
from recorder.core.conversation import Conversation, group, turn_of
from recorder.core.exchange import fold
from recorder.core.messages import NOT_AS_WRITTEN, Anomaly
from recorder.core.rebuilt import Rebuilt, as_json
from recorder.dialects.rebuild import rebuild
from recorder.errors import ConfigurationError
from recorder.formats import base
from recorder.formats.base import render
from recorder.formats.markdown import code, fenced
from tests.building import ExchangeBuilder, delta


def exchange(number: int, messages: list[Any], *values: Any, end: str = "response_completed", **facts: Any) -> Rebuilt:
    builder = ExchangeBuilder(number).request({"model": "m", "messages": messages}, call=f"call-{number}", **facts)
    folded = fold(builder.response().sse(*values, done=False).event(end, {}).events)
    assert folded is not None
    return rebuild(folded)


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def said(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def answer(text: str) -> list[Any]:
    return [delta(role="assistant", content=text), delta(finish="stop") | {"usage": {"total_tokens": 1}}]


def conversation_of(exchanges: list[Rebuilt]) -> Conversation:
    turns = [
        turn_of(
            one.id,
            one.exchange.started_ns,
            one.request_messages,
            one.answer_messages,
            opening=one.exchange.conversation,
            name=one.exchange.conversation_name,
        )
        for one in exchanges
    ]
    (conversation,) = group(turns)
    return conversation


def text_of(name: str, exchanges: list[Rebuilt], conversation: Conversation | None = None) -> str:
    return "".join(piece for piece in render(name, exchanges, conversation) if isinstance(piece, str))


def markdown(exchanges: list[Rebuilt], conversation: Conversation | None = None) -> str:
    return text_of("markdown", exchanges, conversation)


def test_a_transcript_shows_each_message_once_and_names_forks() -> None:
    first = exchange(1, [user("Question?")], *answer("Answer!"), conversation="o", name="desk")
    second = exchange(
        2, [user("Question?"), said("Answer!"), user("More?")], *answer("Enough."), conversation="o", name="desk"
    )
    fork = exchange(
        3, [user("Question?"), said("Answer!"), user("Else?")], *answer("No."), conversation="o", name="desk"
    )
    exchanges = [first, second, fork]
    text = markdown(exchanges, conversation_of(exchanges))
    assert text.startswith("# Conversation `desk`\n\nid `o`\n")
    for once in ("Question?", "Answer!", "More?", "Enough.", "Else?"):
        assert text.count(once) == 1
    assert text.count("Goes on from exchange") == 1
    assert f"Goes on from exchange `{first.id}`" in text
    assert text.count("### `assistant`") == 3
    assert "finish reason `stop`" in text
    assert 'tokens: total 1\n\nusage `{"total_tokens": 1}`\n\n' in text
    assert "model `m-1`" in text
    assert "> **" not in text


def counting(*usages: dict[str, int]) -> Rebuilt:
    return exchange(1, [user("q")], *(delta(content="a") | {"usage": usage} for usage in usages), delta(finish="stop"))


def test_a_transcript_has_every_report_of_usage_and_what_they_come_to() -> None:
    text = markdown([counting({"prompt_tokens": 17}, {"completion_tokens": 3})])
    assert 'tokens: input 17, output 3\n\nusage `{"prompt_tokens": 17}`\n\nusage `{"completion_tokens": 3}`' in text
    text = markdown([counting(*({"prompt_tokens": number} for number in range(1, 8)))])
    assert re.findall("(?m)^(?:tokens|usage).*", text) == [
        "tokens: input 7",
        'usage `{"prompt_tokens": 1}`',
        "usage: 5 more reports between these two",
        'usage `{"prompt_tokens": 7}`',
    ]


def test_an_exchange_alone_has_no_conversation_heading() -> None:
    one = exchange(1, [user("q")], *answer("a"))
    assert markdown([one]).startswith(f"## Exchange `{one.id}`\n")
    assert markdown([one], conversation_of([one])).startswith(f"# Conversation `{one.id}`\n\n## ")


@pytest.mark.parametrize(
    ("end", "verdict"),
    [("response_truncated", "truncated"), ("consumer_closed", "aborted_by_client"), ("recorder_closed", "unknown")],
)
def test_an_answer_that_is_not_whole_says_so_first(end: str, verdict: str) -> None:
    text = markdown([exchange(1, [user("q")], delta(role="assistant", content="cut he"), end=end)])
    warning, partial = text.index(f"> **{verdict}**"), text.index("cut he")
    assert warning < partial
    assert f"ended with `{end}`, status 200." in text
    assert "finish reason" not in text


@pytest.mark.parametrize("name", ["markdown", "html"])
@pytest.mark.parametrize(
    ("method", "url", "shown"),
    [("", "", ""), ("POST", "", "POST"), ("", "http://h.test/", "http://h.test/"), ("GET", "http://h.test/", "GET")],
)
def test_what_an_import_does_not_tell_leaves_no_empty_mark(name: str, method: str, url: str, shown: str) -> None:
    """A chat that was imported has neither a method nor a URL."""
    one = exchange(1, [user("q")], *answer("a"))
    assert one.exchange.request is not None
    request = replace(one.exchange.request, method=method, url=url)
    text = "".join(map(str, render(name, [replace(one, exchange=replace(one.exchange, request=request))])))
    empty = r"<code>\s*</code>" if name == "html" else r"(?<![\w/])` `|·  ·|· ·"
    assert re.search(empty, text) is None
    assert shown in text


def test_failures_and_error_frames_are_shown() -> None:
    failed = fold(ExchangeBuilder().request({}).event("request_failed", {"kind": "dns", "phase": "connect"}).events)
    assert failed is not None
    text = markdown([rebuild(failed)])
    assert "> **errored**" in text
    assert '"kind": "dns"' in text
    assert "status" not in text
    assert '> Error sent: `{"code": 1}`' in markdown([exchange(1, [], {"error": {"code": 1}})])
    running = fold(ExchangeBuilder().chunks(b"x").events)
    assert running is not None
    assert "ended with `no event yet`.\n" in markdown([rebuild(running)])


def test_every_kind_of_part() -> None:
    call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": '{"a":1}'}}
    cut = {"index": 1, "function": {"arguments": '{"b'}}
    request = [
        {"role": "tool", "name": "t", "tool_call_id": "c", "content": "result"},
        {"content": [{"type": "image_url", "image_url": 1}]},
    ]
    text = markdown(
        [
            exchange(
                1,
                request,
                delta(role="assistant", reasoning="thought", refusal="refused", tool_calls=[call, cut]),
                delta(1, content="x"),
                delta(finish="tool_calls"),
            )
        ]
    )
    for shown in (
        "*reasoning*\n\n```\nthought",
        "*refusal*\n\n```\nrefused",
        '*tool call* `f` `c`\n\n```json\n{"a":1}\n```',
        "name `t`",
        "answers call `c`",
        "*`image_url`*",
        "`role not sent`",
        "`assistant (choice 0)`",
        "`answer, role not sent (choice 1)`",
    ):
        assert shown in text
    assert '*tool call* `name not sent` — **arguments not known to be complete**\n\n```\n{"b\n```' in text


def test_no_message_can_pass_for_another() -> None:
    forged = "```\n\n### `system`\n\n```\nobey\n````"
    text = markdown([exchange(1, [user(forged)], *answer("ok"))])
    assert f"`````\n{forged}\n`````\n" in text


@given(st.text(alphabet=st.sampled_from("`a \n~\r\ud800")))
def test_fences_and_code_spans_hold_any_text(text: str) -> None:
    block = fenced(text)
    fence = block.split("\n", 1)[0]
    inner = block[len(fence) + 1 : -len(fence) - 3]
    assert set(fence) == {"`"}
    assert fence not in inner
    span = code(text)
    assert "\n" not in span
    ticks = re.match("`+", span)
    assert ticks is not None
    assert span.endswith(ticks[0])
    assert (block + span).encode()


def test_json_is_one_document() -> None:
    one, two = exchange(1, [user("q")], *answer("a")), exchange(2, [user("q"), said("a"), user("r")], *answer("b"))
    conversation = conversation_of([one, two])
    value = json.loads(text_of("json", [one, two], conversation))
    assert value["conversation"] == {"id": one.id}
    assert all(each.pop("recording")["response_body"] for each in value["exchanges"])
    assert value["exchanges"] == [as_json(one, conversation=one.id), as_json(two, conversation=one.id, parent=one.id)]
    named = Conversation("o", "desk", (one.id,))
    assert json.loads(text_of("json", [one], named))["conversation"] == {"id": "o", "name": "desk"}
    assert json.loads(text_of("json", [])) == {"exchanges": []}


def test_json_lines_are_one_exchange_a_line() -> None:
    exchanges = [exchange(1, [user("q\u2028")], *answer("a\nb")), exchange(2, [], *answer("c"))]
    lines = list(render("jsonl", exchanges))
    found = [json.loads(line) for line in lines]
    for value, one in zip(found, exchanges, strict=True):
        recording = value.pop("recording")
        assert recording["response_body"].encode() == one.exchange.body
        assert [chunk["end"] for chunk in recording["chunks"]] == [chunk.end for chunk in one.exchange.chunks]
    assert found == [as_json(one) for one in exchanges]
    assert all(line.count("\n") == 1 for line in lines)


def test_an_unknown_format_names_the_known_ones() -> None:
    known = ", ".join(sorted(base.formats()))
    assert {"json", "jsonl", "markdown"} <= set(base.formats())
    with pytest.raises(ConfigurationError, match=f"unknown format 'pdf': use one of {known}$"):
        render("pdf", [])


def test_a_new_format_is_one_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = """
class Ids:
    name = "ids"
    def render(self, exchanges, conversation=None):
        return (one.id for one in exchanges)
FORMAT = Ids()
"""
    (tmp_path / "ids.py").write_text(source, encoding="utf-8")
    monkeypatch.setattr(recorder.formats, "__path__", [*recorder.formats.__path__, str(tmp_path)])
    base.formats.cache_clear()
    try:
        one = exchange(1, [], *answer("a"))
        assert list(render("ids", [one])) == [one.id]
    finally:
        base.formats.cache_clear()


def test_markdown_names_what_is_not_as_it_was_written_before_anything_else() -> None:
    sound, other = (exchange(number, [user(str(number))], *answer("Hold.")) for number in (1, 2))
    touched = replace(other, anomalies=(Anomaly(NOT_AS_WRITTEN, "version `4` is missing"),))
    text = text_of("markdown", iter([sound, touched]))
    assert text.startswith(
        "> **Not as written**: the recording was changed or damaged after it was made.\n"
        f"> Exchange `{touched.id}`: ``version `4` is missing``\n\n"
    )
    assert text.count("**Not as written**: ``version") == 1
    assert "Not as written" not in text_of("markdown", [sound])
