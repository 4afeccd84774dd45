"""Files to which the answers of several requests were written, one after the other."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from recorder.formats.importing.base import Foreign
from recorder.recording.imports import Identities
from tests.building import delta
from tests.unit.formats.importing.reading import read, rebuilt_of


def events(*values: object) -> bytes:
    return b"".join(
        b"data: %s\n\n" % (value.encode() if isinstance(value, str) else json.dumps(value).encode()) for value in values
    )


def named(*values: dict[str, object]) -> bytes:
    return b"".join(
        b"event: %s\ndata: %s\n\n" % (str(one["type"]).encode(), json.dumps(one).encode()) for one in values
    )


def chat(text: str) -> bytes:
    return events(delta(content=text), delta(finish="stop"), "[DONE]")


def commented(text: str) -> bytes:
    """As a gateway writes it that keeps the connection alive."""
    return b": PROCESSING\n\n" + chat(text)


def azure(text: str) -> bytes:
    return events({"choices": [], "id": "", "model": "", "prompt_filter_results": [{"prompt_index": 0}]}) + chat(text)


def anthropic(text: str) -> bytes:
    message = {"id": "m", "type": "message", "role": "assistant", "model": "c", "content": [], "usage": {}}
    return named(
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}},
        {"type": "message_stop"},
    )


def responses(text: str) -> bytes:
    made: dict[str, object] = {"id": "r", "object": "response", "model": "g", "output": []}
    item = {"id": "i", "type": "message", "role": "assistant", "status": "completed"}
    item["content"] = [{"type": "output_text", "text": text}]  # type: ignore[assignment]
    whole = {**made, "status": "completed", "output": [item]}
    return named(
        {"type": "response.created", "response": {**made, "status": "in_progress", "error": None}},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": whole},
    ) + events("[DONE]")


def cohere(text: str) -> bytes:
    return named(
        {"type": "message-start", "id": "c", "delta": {"message": {"role": "assistant", "content": []}}},
        {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}},
        {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": text}}}},
        {"type": "content-end", "index": 0},
        {"type": "message-end", "delta": {"finish_reason": "COMPLETE"}},
    )


def line(text: str, *, done: bool) -> bytes:
    value = {"model": "m", "created_at": "2026-01-02T03:04:05Z", "message": {"role": "assistant", "content": text}}
    return json.dumps({**value, "done": done, **({"eval_count": len(text)} if done else {})}).encode() + b"\n"


def ollama(text: str) -> bytes:
    return line(text, done=False) + line("", done=True)


def at_once(text: str) -> bytes:
    return line(text, done=True)


def document(text: str, end: bytes = b"\n") -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    value = {"id": "x", "object": "chat.completion", "model": "m", "choices": [choice]}
    return json.dumps(value, indent=1).encode() + end


def document_alone(text: str) -> bytes:
    return document(text, b"")


def head(kind: str = "text/event-stream", *fields: str) -> bytes:
    return "\r\n".join(["HTTP/2 200 ", f"content-type: {kind}", *fields, "", ""]).encode()


def found(data: bytes) -> list[Foreign]:
    entries = read(data)
    assert all(isinstance(entry, Foreign) for entry in entries), entries
    return [entry for entry in entries if isinstance(entry, Foreign)]


def said(data: bytes) -> list[tuple[str, str]]:
    told = [rebuilt_of(one) for one in found(data)]
    return [("".join(message.text for message in one.answer_messages), one.verdict) for one in told]


def ids(data: bytes) -> list[bytes]:
    identities = Identities()
    return [identities.of(one) for one in found(data)]


STREAMED = [chat, commented, azure, anthropic, responses, cohere]
LINES = [ollama, at_once]
WHOLE = [document, document_alone]
each = pytest.mark.parametrize("made", [*STREAMED, *LINES])
each_with_head = pytest.mark.parametrize("made", [*STREAMED, *LINES, *WHOLE])


@each
def test_each_answer_of_a_body_alone_is_an_exchange(made: Callable[[str], bytes]) -> None:
    bodies = [made("BUY"), made("SELL"), made("BUY")]
    told = found(b"".join(bodies))
    assert [(one.number, one.body) for one in told] == list(enumerate(bodies, 1))
    assert said(b"".join(bodies)) == [("BUY", "complete"), ("SELL", "complete"), ("BUY", "complete")]


@each_with_head
def test_each_answer_with_its_head_is_an_exchange(made: Callable[[str], bytes]) -> None:
    bodies = [made("BUY"), made("SELL"), made("BUY")]
    told = found(b"".join(head("x/y", f"x-at: {at}") + body for at, body in enumerate(bodies)))
    assert [(one.number, one.body, one.header("x-at")) for one in told] == [
        (at, body, str(at - 1)) for at, body in enumerate(bodies, 1)
    ]


@pytest.mark.parametrize(
    ("made", "headed"),
    [*((made, False) for made in [*STREAMED, *LINES]), *((made, True) for made in [*STREAMED, *LINES, *WHOLE])],
)
@pytest.mark.parametrize("between", [b"", b"\n"])
def test_a_file_that_grew_brings_what_is_new(made: Callable[[str], bytes], headed: bool, between: bytes) -> None:
    one, another = ((head() if headed else b"") + made(text) + between for text in ("BUY", "SELL"))
    before, after = ids(one), ids(one + another + one)
    assert (len(before), len(set(after)), after[:1], ids(one + another)) == (1, 3, before, after[:2])


def test_a_mark_before_the_first_answer() -> None:
    for made in (chat, at_once):
        assert [text for text, _ in said(b"\xef\xbb\xbf" + made("BUY") + made("SELL"))] == ["BUY", "SELL"]


def test_the_last_answer_may_be_cut() -> None:
    for made in (anthropic, responses, cohere, ollama):
        first, second = said(made("BUY") + made("SELL")[: len(made("SELL")) // 2])
        assert first == ("BUY", "complete")
        assert second[1] in ("truncated", "unknown")
    (one,) = found(chat("BUY") + chat("SELL")[:20])  # no event of another came
    assert one.body == chat("BUY") + chat("SELL")[:20]


@pytest.mark.parametrize(
    "after",
    [
        events("[DONE]"),
        events({"type": "ping"}),
        b": bye\n\n",
        events({"choices": [], "usage": {"total_tokens": 1}}),
        events("still here"),
    ],
)
def test_what_begins_no_answer_belongs_to_the_one_before(after: bytes) -> None:
    for made in STREAMED:
        (one,) = found(made("BUY") + after)
        assert one.body == made("BUY") + after
        assert [one.body for one in found(head() + made("BUY") + after + head() + chat("x"))][1:] == [chat("x")]


def test_a_body_is_not_cut_where_nothing_said_that_it_ended() -> None:
    quoted = head() + document("no")
    for body in (
        events(delta(content="a")) + quoted + events(delta(finish="stop"), "[DONE]"),
        chat("a").replace(b"data: [DONE]\n\n", b"") + quoted,
        chat("a") + b"more\n" + quoted,
        chat("a") + events(delta(content="b")) + quoted,
        anthropic("a") + named({"type": "content_block_stop", "index": 7}) + quoted,
        ollama("a")[: -len(line("", done=True))] + quoted,
        b"As follows:\n" + quoted,
        b"As follows:\n" + line("a", done=True) + quoted,
        document("a")[:-5] + b"}\n" + quoted,
        document("a") + b"HTTP/2 200 \r\nno field\r\n\r\nx",
        document("a") + b"HTTP/2 200 \r\ncontent-type: x",
        document("a") + b"HTTP/2 is a protocol\n\n",
    ):
        (one,) = found(head() + body)
        assert one.body == body, body


def test_a_length_that_is_right_is_that_of_the_body() -> None:
    body = chat("a") + head() + chat("b")
    (one,) = found(head("x/y", f"content-length: {len(body)}") + body)
    assert (one.body, one.end) == (body, "response_completed")
    packed = head("x/y", "content-length: 7")  # curl --compressed tells the length of what came, and writes the other
    assert [one.body for one in found((packed + document("a")) * 2)] == [document("a")] * 2


def test_an_answer_that_failed_ends_before_a_head() -> None:
    failed = named({"type": "error", "error": {"type": "overloaded_error", "message": "m"}})
    first, second = found(head() + failed + head() + anthropic("a"))
    assert (first.body, second.body) == (failed, anthropic("a"))


def test_an_end_to_which_the_empty_line_is_missing() -> None:
    for body in (chat("a"), anthropic("a")):
        for missing in (1, 2):
            first, second = found(head() + body[:-missing] + head() + body)
            assert (first.body, second.body) == (body[:-missing], body)
    odd = chat("a") + b"data: [x]" + head() + chat("b")
    assert [one.body for one in found(head() + odd)] == [odd]


def test_lines_of_cohere_end_with_the_last_event() -> None:
    lines = [
        {"event_type": "stream-start"},
        {"event_type": "text-generation", "text": "a"},
        {"event_type": "stream-end"},
    ]
    body = b"".join(json.dumps(one).encode() + b"\n" for one in lines)
    for cut in (1, 2):
        part = b"".join(body.splitlines(keepends=True)[:cut]) + head() + body
        assert [one.body for one in found(head() + part)] == [part]
    assert [one.body for one in found((head() + body) * 2)] == [body] * 2


def test_interim_heads_between_answers() -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    assert [one.body for one in found((interim + head() + chat("a")) * 2)] == [chat("a")] * 2


def test_many_heads_in_a_body_take_no_long_time() -> None:
    many = head() * 20_000
    for body in (events(delta(content="a")) + b"x\n" + many, line("a", done=False) + b"x\n" + many, b"{x\n" + many):
        assert len(found(head() + body)) == 1
    assert len(found((head() + document("a")) * 2_000)) == 2_000
