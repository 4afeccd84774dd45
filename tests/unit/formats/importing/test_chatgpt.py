"""ChatGPT's data export: the tree, what is said in it, and the zip."""

from __future__ import annotations

import io
import itertools
import json
import zipfile
from typing import Any

import pytest

from recorder.core.rebuilt import Rebuilt
from recorder.errors import ImportRefused
from recorder.formats.base import render
from recorder.formats.importing.base import LACKS, Foreign, Refused
from recorder.formats.importing.chats import MOST_MESSAGES
from recorder.recording.imports import Identities
from tests.unit.formats.importing.reading import read, rebuilt_of, recording, refusal

ID = "6a1b2c3d-0000-4000-8000-00000000abcd"
START = 1_700_000_000.25


def said(role: str, content: Any, at: float | None = None, **fields: Any) -> dict[str, Any]:
    """Return a message; *content* is a text, or a content with its type."""
    held = {"content_type": "text", "parts": [content]} if isinstance(content, str) else content
    author = {"role": role, "name": fields.pop("name", None), "metadata": {}}
    time = None if at is None else START + at
    return {"author": author, "create_time": time, "content": held, "recipient": "all", "metadata": {}} | fields


def conversation(*nodes: tuple[str, str | None, dict[str, Any] | None], **fields: Any) -> dict[str, Any]:
    """Return a conversation of nodes: name, parent, message."""
    mapping = {
        name: {"id": name, "parent": parent, "message": message, "children": [n for n, p, _ in nodes if p == name]}
        for name, parent, message in nodes
    }
    return {"title": "A trip", "conversation_id": ID, "create_time": START, "mapping": mapping} | fields


ROOT = [("root", None, None), ("s", "root", said("system", ""))]
SIMPLE = conversation(
    *ROOT,
    ("u1", "s", said("user", "Where to?", 1)),
    ("a1", "u1", said("assistant", "Goa.", 2, metadata={"model_slug": "gpt-x", "finish_details": {"type": "stop"}})),
    ("a2", "u1", said("assistant", "Rome.", 3, metadata={"model_slug": "gpt-y"})),
    ("u2", "a1", said("user", "When?", 10)),
    ("a3", "u2", said("assistant", "In May.", 11)),
    ("u3", "a1", said("user", "Never answered", 20)),
)


def exchanges(document: Any) -> list[Foreign]:
    found = read(document)
    assert all(isinstance(one, Foreign) and set(one.missing) <= LACKS.keys() for one in found), found
    return [one for one in found if isinstance(one, Foreign)]


def rebuilt(document: Any) -> list[Rebuilt]:
    return [rebuilt_of(one) for one in exchanges(document)]


def dialogue(one: Rebuilt) -> list[tuple[str | None, str]]:
    return [(message.role, message.text) for message in (*one.request_messages, *one.answer_messages)]


def test_each_answer_is_an_exchange_with_what_stands_above_it() -> None:
    assert recording([SIMPLE]).format == "chatgpt"
    assert [dialogue(one) for one in rebuilt([SIMPLE])] == [
        [("user", "Where to?"), ("assistant", "Goa.")],
        [("user", "Where to?"), ("assistant", "Rome.")],
        [("user", "Where to?"), ("assistant", "Goa."), ("user", "When?"), ("assistant", "In May.")],
        [("user", "Where to?"), ("assistant", "Goa."), ("user", "Never answered")],
    ]


def test_what_is_not_told_is_missing() -> None:
    first, _, third, last = exchanges([SIMPLE])
    assert first.started_ns == 1_700_000_001_250_000_000
    assert third.started_ns == 1_700_000_010_250_000_000
    assert (first.status, first.end, first.end_ns, first.cuts) == (None, None, None, None)
    assert {"request_head", "request_bytes", "response_head", "response_bytes", "end", "end_time"} <= set(first.missing)
    assert "started_at" not in first.missing
    assert "response_body" not in first.missing
    assert (last.body, "response_body" in last.missing) == (b"", True)
    assert [one.called for one in (first, third, last)] == ["a1", "a3", "u3"]
    untimed = conversation(("u", None, said("user", "q")), ("a", "u", said("assistant", "a")))
    assert "started_at" in exchanges([untimed])[0].missing


def test_nothing_is_made_up() -> None:
    first, second, *_ = rebuilt([SIMPLE])
    assert [choice.finish_reason for choice in first.answer.choices] == ["stop"]
    assert [choice.finish_reason for choice in second.answer.choices] == [None]
    assert (first.model, second.model) == ("gpt-x", "gpt-y")
    assert (first.verdict, second.verdict) == ("complete", "unknown")
    assert first.reading is not None
    assert first.reading.model is None
    assert (first.answer.usage, first.answer.ids) == (None, ("a1",))


@pytest.mark.parametrize(
    ("fields", "verdict"),
    [
        ({"status": "finished_successfully"}, "complete"),
        ({"metadata": {"finish_details": {"type": "stop"}}}, "complete"),
        ({"status": "in_progress"}, "truncated"),
        ({}, "unknown"),
    ],
)
def test_an_answer_is_complete_only_where_the_file_says_that_it_ended(fields: dict[str, Any], verdict: str) -> None:
    document = conversation(("u", None, said("user", "q", 1)), ("a", "u", said("assistant", "a", 2, **fields)))
    (found,) = exchanges([document])
    assert rebuilt_of(found).verdict == verdict
    assert ("answer_end" in found.missing) == (verdict == "unknown")
    assert (rebuilt_of(found).evidence.finished is None) == (verdict == "unknown")


def test_they_are_one_conversation_with_its_branches() -> None:
    home = {one.home for one in exchanges([SIMPLE])}
    (only,) = home
    assert only is not None
    assert (only.id, only.name) == (ID, "A trip (0000abcd)")
    (other,) = {one.home for one in exchanges([SIMPLE | {"conversation_id": "no uuid", "title": None}])}
    assert other is not None
    assert (other.id[14], other.name) == ("8", None)


def test_the_messages_are_kept_as_they_are_once() -> None:
    first, _, third, _ = exchanges([SIMPLE])
    nodes = SIMPLE["mapping"]
    assert json.loads(first.payload)["chatgpt"] == [nodes["u1"]["message"]]
    assert json.loads(third.payload)["chatgpt"] == [nodes["u2"]["message"]]
    assert json.loads(third.body)["chatgpt"] == [nodes["a3"]["message"]]


def test_a_file_that_grew_has_the_same_exchanges_and_new_ones() -> None:
    ids = {Identities().of(one) for one in exchanges([SIMPLE])}
    grown = json.loads(json.dumps(SIMPLE))
    grown["title"] = "Renamed"
    grown["mapping"]["a1"]["message"]["metadata"]["citations"] = []
    grown["mapping"]["a4"] = {"parent": "u3", "message": said("assistant", "Now.")}
    again = {Identities().of(one) for one in exchanges([grown])}
    assert len(ids - again) == 1  # the question that nobody had answered
    assert len(again - ids) == 1
    grown["mapping"]["a3"]["message"]["content"]["parts"] = ["In May, or"]  # it was being written
    assert len({Identities().of(one) for one in exchanges([grown])} - again) == 1


TOOLS = conversation(
    ("u", None, said("user", "Plot it", 1)),
    ("t", "u", said("assistant", {"content_type": "thoughts", "thoughts": [{"summary": "S", "content": "Hm"}]}, 2)),
    ("c", "t", said("assistant", {"content_type": "code", "text": "plot(1)"}, 3, recipient="python")),
    ("o", "c", said("tool", {"content_type": "execution_output", "text": "done"}, 4, name="python")),
    ("j", "o", said("assistant", {"content_type": "code", "text": '{"q": 1}'}, 5, recipient="web.run")),
    ("b", "j", said("tool", {"content_type": "tether_browsing_display", "result": "3 found"}, 6, name="web.run")),
    ("r", "b", said("assistant", {"content_type": "reasoning_recap", "content": "Thought for 2s"}, 7)),
    ("a", "r", said("assistant", "Here", 8)),
)  # fmt: skip


def test_thoughts_calls_and_their_results() -> None:
    first, second, third = rebuilt([TOOLS])
    (plot,) = first.answer_messages
    assert [type(part).__name__ for part in plot.parts] == ["ReasoningPart", "ToolCallPart"]
    assert (plot.tool_calls[0].name, plot.tool_calls[0].arguments_text, plot.tool_calls[0].complete) == (
        *("python", "plot(1)", False),
    )
    (web,) = second.answer_messages
    assert (web.tool_calls[0].name, web.tool_calls[0].arguments) == ("web.run", {"q": 1})
    assert [(message.role, message.name, message.text) for message in third.request_messages] == [
        ("user", None, "Plot it"),
        ("assistant", None, ""),
        ("tool", "python", "done"),
        ("assistant", None, ""),
        ("tool", "web.run", "3 found"),
    ]
    (last,) = third.answer_messages
    assert last.text == "Here"
    assert "Thought for 2s" in repr(last.parts)


CALL = said("assistant", {"content_type": "code", "text": '{"q": 1}'}, 2, recipient="web")
NOTHING = said("tool", {"content_type": "tether_browsing_display", "result": "", "summary": None}, 3, name="web")
THOUGHTS = said("assistant", {"content_type": "thoughts", "thoughts": [{"content": "Hm"}]}, 4)
LAST = said("assistant", "Here", 5, metadata={"finish_details": {"type": "stop"}})


@pytest.mark.parametrize("silent", [1, 2])
def test_a_tool_that_answered_nothing_stands_between_the_call_and_what_followed(silent: int) -> None:
    tools = [(f"o{at}", f"o{at - 1}" if at else "e", NOTHING) for at in range(silent)]
    document = conversation(
        ("u", None, said("user", "q", 1)), ("c", "u", CALL), ("e", "c", None), *tools,
        ("t", tools[-1][0], THOUGHTS), ("a", "t", LAST),
    )  # fmt: skip
    call, answer = rebuilt([document])
    assert [one.name for one in call.answer_messages[0].tool_calls] == ["web"]
    assert [(message.role, message.text) for message in answer.request_messages] == [
        *(("user", "q"), ("assistant", ""), ("tool", "")),
    ]
    assert (answer.answer_messages[0].text, answer.answer_messages[0].tool_calls) == ("Here", ())
    (line,) = render("openai-jsonl", [call, answer])
    messages = json.loads(str(line))["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "assistant"]
    assert ("tool_calls" in messages[-1], messages[-1]["content"]) == (False, "Here")


def test_what_is_said_after_a_call_without_a_result_follows_the_call() -> None:
    both = CALL | {"content": {"content_type": "code", "text": '{"q": 2}'}}
    nodes = [("u", None, said("user", "q", 1)), ("c", "u", CALL), ("d", "c", both), ("t", "d", THOUGHTS)]
    call, answer = rebuilt([conversation(*nodes, ("a", "t", LAST))])
    assert [one.arguments for one in call.answer_messages[0].tool_calls] == [{"q": 1}, {"q": 2}]
    assert [len(message.tool_calls) for message in answer.request_messages] == [0, 2]
    assert (answer.answer_messages[0].text, answer.answer_messages[0].tool_calls) == ("Here", ())


def test_a_tool_that_said_nothing_to_nobody_is_passed_over() -> None:
    document = conversation(("u", None, said("user", "q", 1)), ("o", "u", NOTHING), ("a", "o", LAST))
    assert [dialogue(one) for one in rebuilt([document])] == [[("user", "q"), ("assistant", "Here")]]


def test_pictures_files_and_kinds_that_nobody_knows() -> None:
    picture = {"content_type": "image_asset_pointer", "asset_pointer": "file-service://f", "width": 1}
    own = {"content_type": "user_editable_context", "user_profile": "p"}
    found = conversation(
        ("k", None, said("user", own)),
        ("u", "k", said("user", {"content_type": "multimodal_text", "parts": [picture, "What is it?", None, 7]})),
        ("f", "u", said("user", "And this?", metadata={"attachments": [{"name": "a.pdf", "id": "file-1"}, 3]})),
        ("a", "f", said("assistant", "A cat")),
    )
    (one,) = exchanges([found])
    context, asked, filed = json.loads(one.payload)["messages"]
    assert context["content"] == [own | {"type": "user_editable_context"}]
    assert asked["content"] == [
        picture | {"type": "image_asset_pointer"},
        {"type": "text", "text": "What is it?"},
        {"type": "text", "text": "7"},
    ]
    assert filed["content"][1] == {"name": "a.pdf", "id": "file-1", "type": "attachment"}
    assert rebuilt([found])[0].request_messages[1].text == "What is it?7"


def test_branches_are_regenerations_and_forks() -> None:
    found = rebuilt([SIMPLE])
    assert len({one.id for one in found}) == 4
    keys = [json.loads(one.exchange.request.payload)["messages"] for one in found if one.exchange.request]
    assert keys[0] == keys[1]


@pytest.mark.parametrize("name", ["conversations.json", "export/conversations.json", "conversations-000.json"])
def test_the_zip(name: str) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("chat.html", "<html>")
        archive.writestr(name, json.dumps([SIMPLE]))
        archive.writestr("user.json", "{}")
    assert recording(data.getvalue()).format == "chatgpt"
    assert read(data.getvalue()) == read([SIMPLE])
    broken = data.getvalue().replace(b"conversations", b"conversatiXns")
    with pytest.raises(ImportRefused, match="neither a HAR nor an export of ChatGPT"):
        read(broken)


def test_damaged_zips() -> None:
    for content, reason in ((b"[{", "no whole JSON"), (b"[]", "no messages")):
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w") as archive:
            archive.writestr("conversations.json", content)
        with pytest.raises(ImportRefused, match=reason):
            read(data.getvalue())
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conversations.json", json.dumps([SIMPLE] * 20))
    cut = bytearray(data.getvalue())
    cut[60:90] = bytes(30)
    with pytest.raises(ImportRefused, match="cannot be unpacked"):
        read(bytes(cut))
    for end in (-1, -40, -200, 5):  # its directory stands at its end
        with pytest.raises(ImportRefused, match="zip ends before its own end"):
            read(data.getvalue()[:end])


def test_one_conversation_and_odd_ones() -> None:
    assert len(read(SIMPLE)) == 4
    found = read([SIMPLE, 7, {"mapping": 3}, conversation(("a", "a", said("user", "q")))])
    assert [one.reason for one in found if isinstance(one, Refused)] == [
        *("its conversation is no mapping", "its mapping is no mapping", "its messages go in a circle"),
    ]
    circle = conversation(("a", "b", said("user", "q")), ("b", "a", said("user", "q")), ("c", "b", said("user", "q")))
    assert "in a circle" in refusal([circle])
    empty = conversation(("a", "b", None), ("b", "a", None), ("c", "b", said("user", "q")))
    assert "in a circle" in refusal([empty])
    with pytest.raises(ImportRefused, match="no messages"):
        read([conversation(*ROOT)])


def test_a_very_long_conversation_does_not_repeat_all_of_it() -> None:
    nodes: list[tuple[str, str | None, dict[str, Any]]] = []
    for at in range(MOST_MESSAGES + 10):
        nodes.append((str(at), str(at - 1) if at else None, said("assistant" if at % 2 else "user", f"text {at}")))
    *_, last = exchanges([conversation(*nodes)])
    assert "request_body" in last.missing
    assert len(json.loads(last.payload)["messages"]) <= MOST_MESSAGES
    assert json.loads(last.payload)["messages"][-1]["content"] == f"text {MOST_MESSAGES + 8}"
    assert "request_body" not in exchanges([conversation(*nodes)])[0].missing


def test_requests_of_a_very_long_conversation_go_on_from_each_other() -> None:
    said_by = ("user", "assistant")
    nodes = [(str(at), str(at - 1) if at else None, said(said_by[at % 2], f"text {at}")) for at in range(3000)]
    found = [json.loads(one.payload)["messages"] for one in exchanges([conversation(*nodes)])]
    begun = [messages[0]["content"] for messages in found]
    assert len(set(begun)) < 30  # not one for each request
    assert all(len(messages) >= MOST_MESSAGES // 2 for messages in found[MOST_MESSAGES // 2 :])
    goes_on = [two[: len(one)] == one for one, two in itertools.pairwise(found)]
    assert goes_on.count(False) == len(set(begun)) - 1


def test_messages_that_say_nothing_are_passed_over() -> None:
    silent = [(f"n{at}", f"n{at - 1}" if at else "u", None) for at in range(30_000)]
    nodes = [("u", None, said("user", "q")), *silent, ("a", silent[-1][0], said("assistant", "a"))]
    mapping = {name: {"parent": parent, "message": message} for name, parent, message in nodes}
    (one,) = exchanges([conversation() | {"mapping": mapping}])
    assert dialogue(rebuilt_of(one)) == [("user", "q"), ("assistant", "a")]


@pytest.mark.parametrize(
    "about",
    [
        {"metadata": {"finish_details": {"type": "interrupted"}}, "status": "finished_partial_completion"},
        {"metadata": {"finish_details": {"type": "interrupted"}}},
        {"metadata": {}, "status": "in_progress"},
        {"metadata": {"is_error": True}, "status": "finished_successfully"},
    ],
)
@pytest.mark.parametrize("recipient", ["all", "broker"])
def test_an_answer_that_the_file_calls_broken_off_is_not_complete(about: dict[str, Any], recipient: str) -> None:
    text = {"content_type": "code", "text": '{"q":1}'} if recipient == "broker" else "I was going to s"
    answer = said("assistant", text, 2, recipient=recipient) | about
    (found,) = exchanges(conversation(*ROOT, ("u1", "s", said("user", "hi", 1)), ("a1", "u1", answer)))
    made = rebuilt_of(found)
    assert made.verdict in ("truncated", "errored")
    calls = [call for choice in made.answer.choices for call in choice.message.tool_calls]
    assert [call.complete for call in calls] == [False] * (recipient == "broker")
