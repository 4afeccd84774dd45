"""Cohere's first API, quirk by quirk."""

from __future__ import annotations

from typing import Any

import pytest

from recorder.core.exchange import fold
from recorder.core.history import relate
from recorder.core.messages import Answer, CitationPart, TextPart, ToolCallPart, ToolResultPart
from recorder.core.rebuilt import Rebuilt
from recorder.dialects.base import Clues, choose
from recorder.dialects.cohere_v1 import DIALECT
from recorder.dialects.rebuild import rebuild
from recorder.formats.base import render
from tests.building import URL as OPENAI
from tests.building import ExchangeBuilder
from tests.unit.dialects.answers import kinds, only, read_by, rebuilt_from
from tests.unit.dialects.wire import JSON, SSE, document, ndjson, sse

URL = "https://api.example/v1/chat"
GENERATE = "https://api.example/v1/generate"
LINES = "application/stream+json"
META = {
    "api_version": {"version": "1"},
    "billed_units": {"input_tokens": 23, "output_tokens": 78},
    "tokens": {"input_tokens": 1376, "output_tokens": 80},
}
COUNTED = {key: META[key] for key in ("tokens", "billed_units")}


def event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"is_finished": kind in ("stream-end", "stream-error"), "event_type": kind, **fields}


START = event("stream-start", generation_id="g-1")


def said(*pieces: str, **fields: Any) -> list[dict[str, Any]]:
    return [event("text-generation", text=piece, **fields) for piece in pieces]


def end(reason: str | None = "COMPLETE", **response: Any) -> dict[str, Any]:
    told = {} if reason is None else {"finish_reason": reason}
    return event(
        "stream-end", **told, response={"generation_id": "g-1", "response_id": "r-1", "meta": META, **response}
    )


CITED = {"start": 0, "end": 4, "text": "Kurs", "document_ids": ["web:2", "web:1"]}
DOCUMENTS = [{"id": "web:1", "url": "https://a.example", "title": "A", "snippet": "…"}]
CALL = {"name": "buy", "parameters": {"lots": 10}}


def chunk(**delta: Any) -> dict[str, Any]:
    return event("tool-calls-chunk", tool_call_delta=delta)


PLAN = [event("tool-calls-chunk", text=piece) for piece in ("I will", " buy.")]
PIECES = [chunk(index=0, name="buy"), chunk(index=0, parameters='{"lots":1'), chunk(index=0, parameters="0}")]
TOOLS = [START, *PLAN, *PIECES, event("tool-calls-generation", text="I will buy.", tool_calls=[CALL])]
TOOLS.append(end(text="I will buy.", tool_calls=[CALL]))
#: Whole answers for the contract suite.
STREAMS = [
    (LINES, ndjson(START, *said("Kurs", " €"), event("citation-generation", citations=[CITED]), end(text="Kurs €"))),
    (SSE, sse(START, *said("Kurs", " €"), end(text="Kurs €"), named="event_type")),
    (LINES, ndjson(*TOOLS)),
    (LINES, ndjson(*said(" Pluto", " was"), end(generations=[{"id": "x", "text": " Pluto was"}]))),
    (
        JSON,
        document({"response_id": "r", "generation_id": "g", "text": "Hi", "finish_reason": "COMPLETE", "meta": META}),
    ),
    (
        JSON,
        document(
            {"id": "i", "generations": [{"id": "x", "text": " Pluto", "finish_reason": "COMPLETE"}], "meta": META}
        ),
    ),
]


def read(body: bytes, url: str = URL) -> Answer:
    clues = Clues(url, "", body)
    assert choose(clues).name == "cohere_v1"
    return read_by(DIALECT, clues)


def streamed(*values: Any) -> Answer:
    return read(ndjson(*values))


def rebuilt(body: bytes, kind: str = LINES, request: Any = None, url: str = URL) -> Rebuilt:
    return rebuilt_from(body, kind, url, request)


@pytest.mark.parametrize("wrap", [ndjson, sse])
def test_the_whole_response_at_the_end_doubles_nothing(wrap: Any) -> None:
    counts = {"prompt_tokens": 9, "response_tokens": 8, "total_tokens": 17}
    cited = event("citation-generation", citations=[CITED])
    last = end(text="Kurs €", citations=[CITED], documents=DOCUMENTS, search_queries=[], token_count=counts)
    answer = read(wrap(START, *said("Kurs", " €"), cited, last))
    choice = only(answer)
    assert choice.message.parts == (TextPart("Kurs €"), CitationPart(CITED, "Kurs", "https://a.example", "A"))
    assert (choice.finish_reasons, choice.finish, choice.message.role) == (("COMPLETE",), "stop", None)
    assert (answer.ids, answer.usage_reports) == (("g-1", "r-1"), ({**COUNTED, "token_count": counts},))
    assert answer.tokens is not None
    assert (answer.tokens.input, answer.tokens.output, answer.tokens.total) == (1376, 80, 17)
    assert (answer.sentinel_seen, answer.anomalies, answer.extras["meta"]) == (True, (), META)


def test_a_response_that_says_something_else_is_a_fact() -> None:
    answer = streamed(START, *said("a", "b"), end(text="c", citations=[CITED]))
    assert only(answer).message.parts == (TextPart("c"), CitationPart(CITED, "Kurs"))
    assert kinds(answer) == ["response_differs"]


def test_a_response_adds_what_no_event_said() -> None:
    (text, call) = only(streamed(START, end(text="all of it", tool_calls=[CALL]))).message.parts
    assert text == TextPart("all of it")
    assert isinstance(call, ToolCallPart)
    assert (call.name, call.arguments, call.complete) == ("buy", {"lots": 10}, True)


def test_each_part_knows_its_lines() -> None:
    lines = [
        ndjson(value) for value in (START, *said("a"), event("citation-generation", citations=[CITED]), end(text="a"))
    ]
    starts = [sum(map(len, lines[:at])) for at in range(len(lines))]
    text, cited = only(read(b"".join(lines))).message.parts
    assert (text.ranges, cited.ranges) == (((starts[1], starts[2]),), ((starts[2], starts[3]),))


def test_search_queries_and_results_are_kept() -> None:
    queries, results = [{"text": "q"}], [{"document_ids": ["web:1"]}]
    answer = streamed(
        START,
        event("search-queries-generation", search_queries=queries),
        event("search-results", search_results=results, documents=DOCUMENTS),
        *said("Kurs"),
        event("citation-generation", citations=[CITED]),
        end(text="Kurs"),
    )
    assert (answer.extras["search_queries"], answer.extras["search_results"]) == (queries, results)
    assert answer.extras["documents"] == DOCUMENTS
    assert only(answer).message.parts[1] == CitationPart(CITED, "Kurs", "https://a.example", "A")


def test_calls_in_pieces_and_then_whole_are_one_call() -> None:
    answer = streamed(*TOOLS)
    assert only(answer).message.text == "I will buy."
    (call,) = only(answer).message.tool_calls
    assert (call.name, call.index, call.arguments_text, call.arguments) == ("buy", 0, '{"lots":10}', {"lots": 10})
    assert (call.complete, call.id, kinds(answer)) == (True, None, [])


def test_a_call_is_complete_once_it_came_whole_or_the_stream_ended() -> None:
    assert only(streamed(*TOOLS[:-1])).message.tool_calls[0].complete
    assert not only(streamed(*TOOLS[:-2])).message.tool_calls[0].complete
    assert only(streamed(*TOOLS[:-2], end())).message.tool_calls[0].complete
    for reason in ("MAX_TOKENS", "ERROR", "ERROR_LIMIT"):
        assert not only(streamed(*TOOLS[:-2], end(reason))).message.tool_calls[0].complete


def test_several_calls_and_calls_without_parameters() -> None:
    pieces = [chunk(index=0, name="f"), chunk(index=1, name="g", parameters="{}"), chunk(index=2, name="h")]
    whole = [{"name": "f", "parameters": {}}, {"name": "g", "parameters": {}, "x": 1}]
    answer = streamed(START, *pieces, event("tool-calls-generation", tool_calls=whole), end())
    calls = only(answer).message.tool_calls
    assert [(call.name, call.arguments, call.complete) for call in calls] == [
        ("f", {}, True),
        ("g", {}, True),
        ("h", None, False),  # not among the whole ones
    ]
    assert kinds(answer) == ["tool_call_differs"]
    assert [call.complete for call in only(streamed(START, *pieces, end())).message.tool_calls] == [True, True, True]
    assert calls[1].extras == {"x": 1}


def test_a_whole_call_that_differs_is_a_fact() -> None:
    other = event("tool-calls-generation", tool_calls=[{"name": "buy", "parameters": {"lots": 11}}])
    answer = streamed(START, *PIECES, other, end())
    (found,) = only(answer).message.tool_calls
    assert (found.arguments_text, found.complete, kinds(answer)) == ('{"lots": 11}', False, ["tool_call_differs"])


@pytest.mark.parametrize("lots", [[], [10], [100], [10, 20]])
def test_calls_in_the_last_response_that_differ_from_those_before_are_a_fact(lots: list[int]) -> None:
    """The last response counts, as for clients that wait for it; who acted on the first has bought something else."""
    calls = [{"name": "buy", "parameters": {"lots": number}} for number in lots]
    first = event("tool-calls-generation", tool_calls=[{"name": "buy", "parameters": {"lots": 10}}])
    answer = streamed(START, first, end(tool_calls=calls))
    found = [(call.arguments_text, call.complete) for call in only(answer).message.tool_calls]
    expected = {
        (): [('{"lots": 10}', True)],  # left out, not taken back
        (10,): [('{"lots": 10}', True)],
        (100,): [('{"lots": 100}', False)],
        (10, 20): [('{"lots": 10}', True), ('{"lots": 20}', False)],
    }
    assert found == expected[tuple(lots)]
    assert kinds(answer) == ([] if lots in ([], [10]) else ["tool_call_differs"])
    fewer = event("tool-calls-generation", tool_calls=[{"name": "f", "parameters": {}}, {"name": "g"}])
    left = only(streamed(START, fewer, end(tool_calls=[{"name": "f", "parameters": {}}]))).message.tool_calls
    assert [(call.name, call.complete) for call in left] == [("f", True), ("g", False)]


def test_the_plan_may_be_a_text_of_the_delta() -> None:
    assert only(streamed(START, chunk(text="I "), chunk(text="will."), end(text="I will."))).message.text == "I will."


def test_several_generations_by_their_index() -> None:
    whole: list[dict[str, Any]] = [
        {"id": "x", "index": 0, "text": "ab", "finish_reason": "COMPLETE"},
        {"id": "y", "index": 1, "text": "cd", "finish_reason": "MAX_TOKENS", "likelihood": -1},
    ]
    pieces = [*said("a", index=0), *said("c", index=1), *said("b", index=0), *said("d", index=1)]
    answer = read(ndjson(*pieces, end(generations=whole)), GENERATE)
    assert [(choice.index, choice.message.text, choice.finish) for choice in answer.choices] == [
        (0, "ab", "stop"),
        (1, "cd", "length"),
    ]
    assert (answer.choices[1].extras, answer.anomalies) == ({"id": "y", "likelihood": -1}, ())
    asked = {"prompt": "x", "num_generations": 3}
    assert rebuilt(ndjson(*pieces, end(generations=whole)), request=asked, url=GENERATE).verdict == "unknown"


@pytest.mark.parametrize("index", [{}, {"index": None}])
def test_generations_without_an_index_are_numbered(index: dict[str, Any]) -> None:
    generations = [{"id": name, "text": name, **index} for name in "ab"]
    answer = read(document({"id": "i", "generations": generations}), GENERATE)
    assert [(choice.index, choice.message.text) for choice in answer.choices] == [(0, "a"), (1, "b")]


@pytest.mark.parametrize(
    ("reason", "finish", "failed"),
    [
        ("COMPLETE", "stop", False),
        ("complete", "stop", False),
        ("MAX_TOKENS", "length", False),
        ("ERROR_LIMIT", "length", False),
        ("ERROR_TOXIC", "content_filter", False),
        ("USER_CANCEL", "cancelled", False),
        ("ERROR", "error", True),
        (None, None, False),
    ],
)
def test_finish_reasons(reason: str | None, finish: str | None, failed: bool) -> None:
    choice = only(streamed(START, *said("a"), end(reason, text="a")))
    assert (choice.finish_reason, choice.finish, choice.failed) == (reason, finish, failed)


def test_the_end_is_stream_end() -> None:
    assert rebuilt(ndjson(START, *said("a"), end(None, text="a"))).verdict == "complete"
    assert rebuilt(ndjson(START, *said("a", "b"))).verdict == "truncated"
    assert rebuilt(ndjson(*said("a"))).verdict == "truncated"
    assert rebuilt(ndjson(START, *said("a"), end("ERROR", text="a"))).verdict == "errored"
    assert rebuilt(ndjson(event("stream-end", finish_reason="COMPLETE"))).verdict == "complete"


def test_errors_in_the_stream_and_before_it() -> None:
    failed = rebuilt(ndjson(*said("a"), event("stream-error", index=0, finish_reason="ERROR", err="boom")))
    assert (failed.verdict, failed.answer.errors, only(failed.answer).finish) == ("errored", ("boom",), "error")
    for value in ({"message": "invalid api token"}, {"error": {"message": "no"}}):
        found = rebuilt(document(value), JSON)
        assert (found.answer.dialect, found.verdict, found.answer.choices) == ("cohere_v1", "errored", ())


def test_other_events_are_kept() -> None:
    odd = event("something-new", x=1)
    answer = streamed(START, odd, event("debug", prompt="<p>"), end(text="a"), *said("late"))
    assert (answer.extras["events"], answer.extras["prompt"]) == ([odd], "<p>")
    assert kinds(answer) == ["unknown_event", "after_end_marker"]


def test_values_of_another_kind() -> None:
    answer = streamed(
        START,
        event("text-generation", text=5, index="x"),
        event("citation-generation", citations=[7, {"document_ids": 5}, {"document_ids": [5]}]),
        event("tool-calls-chunk", tool_call_delta=5),
        chunk(index=[1], parameters={"a": 1}),
        event("tool-calls-generation", tool_calls=[5]),
        7,
        {"x": 1},
        event("stream-end", response=5),
    )
    assert next(part.value for part in only(answer).message.parts if isinstance(part, CitationPart)) == 7
    assert only(answer).message.tool_calls[0].arguments == {"a": 1}
    assert only(answer).message.extras == {"text": [5]}
    assert kinds(answer) == ["delta_malformed", "not_an_object", "no_choices"]


def test_a_document() -> None:
    value = {"response_id": "r", "generation_id": "g", "text": "Kurs", "citations": [CITED], "tool_calls": [CALL]}
    value |= {"documents": DOCUMENTS, "chat_history": [{"role": "USER", "message": "x"}], "finish_reason": "COMPLETE"}
    answer = read(document({**value, "meta": META}), "")
    text, cited, call = only(answer).message.parts
    assert (text, cited) == (TextPart("Kurs"), CitationPart(CITED, "Kurs", "https://a.example", "A"))
    assert isinstance(call, ToolCallPart)
    assert (call.complete, answer.whole, answer.usage) == (True, True, COUNTED)
    assert answer.extras["chat_history"] == value["chat_history"]


@pytest.mark.parametrize(
    ("url", "body", "claim"),
    [
        ("", ndjson(START, *said("a")), 1.0),
        (OPENAI, sse(*said("a")), 1.0),
        ("", ndjson(*said("a" * 50))[:-3].replace(b'"event', b'"x":1,"event'), 0.9),
        ("", document({"text": "a", "generation_id": "g"}), 0.95),
        ("", document({"id": "i", "generations": [{"id": "x", "text": "a"}]}), 0.95),
        (URL, b"", 0.5),
        (GENERATE, b'{"message":"no"}', 0.5),
        ("", b'{"message":"no"}', 0.0),
        (URL, b'{"object":"chat.completion","choices":[]}', 0.0),
        (OPENAI, b"", 0.0),
        ("", sse({"event_type": "content.delta", "delta": {"type": "text", "text": "a"}}), 0.0),
        ("", sse({"event_type": ["x"]}), 0.0),
        ("", document({"id": "i", "generations": []}), 0.0),
    ],
)
def test_claims(url: str, body: bytes, claim: float) -> None:
    assert DIALECT.claims(Clues(url, "", body)) == claim


def test_reads_a_chat() -> None:
    payload = {
        "model": "m",
        "preamble": "be brief",
        "chat_history": [
            {"role": "USER", "message": "hi"},
            {"role": "CHATBOT", "message": "I will.", "tool_calls": [CALL]},
            {"role": "TOOL", "tool_results": [{"call": CALL, "outputs": [{"ok": 1}]}]},
            5,
        ],
        "message": "go on",
        "tool_results": [{"call": CALL, "outputs": []}],
    }
    for url in (URL, "https://gateway.example/x"):
        reading = DIALECT.read_request(url, payload)
        assert reading is not None
        assert (reading.dialect, reading.model) == ("cohere_v1", "m")
        assert [(message.role, message.text) for message in reading.messages] == [
            ("system", "be brief"),
            ("user", "hi"),
            ("assistant", "I will."),
            ("tool", ""),
            ("tool", ""),
            ("user", "go on"),
        ]
        assert [message.extras.get("role") for message in reading.messages[1:4]] == ["USER", "CHATBOT", "TOOL"]
        assert not any(message.extras for message in (reading.messages[0], *reading.messages[4:]))
        assert reading.messages[2].tool_calls[0].complete
        assert reading.messages[3].parts == (ToolResultPart(name="buy", value={"call": CALL, "outputs": [{"ok": 1}]}),)


def test_a_chat_goes_on_from_the_answer_that_it_sends_back_and_makes_a_line() -> None:
    def chat(number: int, message: str, *history: tuple[str, str]) -> Rebuilt:
        turns = [{"role": role, "message": text} for role, text in history]
        built = ExchangeBuilder(number).request({"message": message, "chat_history": turns}, url=URL, call=str(number))
        answer = document({"text": "Sell.", "generation_id": "g", "finish_reason": "COMPLETE"})
        exchange = fold(built.response(headers=[("content-type", JSON)]).chunks(answer).completed().events)
        assert exchange is not None
        return rebuild(exchange)

    first, second = chat(1, "q"), chat(2, "why?", ("USER", "q"), ("CHATBOT", "Sell."))
    edited = chat(3, "why?", ("User", "q"), ("Chatbot", "Buy."))
    for on, findings in ((second, []), (edited, ["answer_edited"])):
        found = relate([first, on])[on.id]
        assert (found.kind, found.of, [one.kind for one in found.findings]) == ("continues", first.id, findings)
    for name in ("openai-jsonl", "sharegpt"):
        (line,) = render(name, [second])
        assert [text in str(line) for text in ("q", "Sell.", "why?", "CHATBOT")] == [True, True, True, False]
    reading = DIALECT.read_request(URL, {"message": "", "chat_history": [{"role": "JUDGE", "message": "x"}]})
    assert reading is not None
    (other,) = reading.messages
    assert (other.role, other.extras) == ("JUDGE", {})


def test_reads_a_prompt() -> None:
    reading = DIALECT.read_request(GENERATE, {"prompt": "p", "num_generations": 2})
    assert reading is not None
    assert ([message.text for message in reading.messages], reading.choices, reading.model) == (["p"], 2, None)


@pytest.mark.parametrize("payload", [None, [], {}, {"messages": []}, {"message": 5}, {"prompt": 5}])
def test_other_requests_are_not_read(payload: Any) -> None:
    assert DIALECT.read_request(URL, payload) is None
    assert DIALECT.read_request(GENERATE, payload) is None
    assert DIALECT.read_request("https://other.example/completions", {"message": "x", "prompt": "x"}) is None
