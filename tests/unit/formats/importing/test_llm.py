"""LLM's logs of every age."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recorder.errors import ImportRefused
from recorder.formats.importing.base import LACKS, Foreign, Recording, Refused, importer_for
from recorder.formats.importing.source import Source
from recorder.recording.imports import Identities
from recorder.store.foreign import MAGIC, foreign_database
from tests.unit.formats.importing.llm_databases import OLD, RESPONSES, TURNS, Logs, newest, old, oldest, recent
from tests.unit.formats.importing.reading import rebuilt_of
from tests.unit.formats.importing.test_chatgpt import dialogue


def entries(logs: Logs) -> tuple[Recording, list[Foreign | Refused]]:
    with foreign_database(logs.path) as database:
        source = Source(MAGIC, database)
        importer = importer_for(source)
        if importer is None:
            raise ImportRefused(source.unknown())
        recording = importer.read(source)
        return recording, list(recording.entries)


def exchanges(logs: Logs) -> list[Foreign]:
    found = [one for one in entries(logs)[1] if isinstance(one, Foreign)]
    assert all(set(one.missing) <= LACKS.keys() for one in found)
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs.db"


def payload(one: Foreign) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(one.payload)
    return value


def test_the_first_ones(path: Path) -> None:
    found = exchanges(oldest(path))
    assert [dialogue(rebuilt_of(one)) for one in found] == [
        [("user", "a?"), ("assistant", "A")],
        [("user", "a?"), ("assistant", "A"), ("user", "b?"), ("assistant", "B")],
        [("user", "c?"), ("assistant", "C")],
    ]
    assert [one.started_ns for one in found] == [1_680_343_200_000_000_000 + at * 10**9 for at in range(3)]
    assert found[0].home == found[1].home != found[2].home


def test_those_of_2023(path: Path) -> None:
    first, second = exchanges(old(path))
    assert dialogue(rebuilt_of(second)) == [
        ("system", "Be."), ("user", "a?"), ("assistant", "A"), ("user", "b?"), ("assistant", "B"),
    ]  # fmt: skip
    rebuilt = rebuilt_of(first)
    assert (rebuilt.model, rebuilt.reading.model if rebuilt.reading else None) == ("m-0613", "m")
    assert [choice.finish_reason for choice in rebuilt.answer.choices] == ["stop"]
    assert (first.started_ns, first.end_ns) == (1_688_205_600_123_456_000, 1_500_000_000)
    assert payload(first) | {"messages": []} == {
        "messages": [], "model": "m", "options": {"temperature": 1}, "prompt_json": {"messages": []},
    }  # fmt: skip
    assert "end_time" in second.missing
    assert first.called == "4"


def test_those_of_2025(path: Path) -> None:
    told, found = entries(recent(path))
    assert (told.format, told.version) == ("llm", "m022_response_reasoning")
    alone, call, result, picture = (one for one in found if isinstance(one, Foreign))
    rebuilt = rebuilt_of(call)
    assert dialogue(rebuilt) == [("system", "Be."), ("user", "Rain?"), ("assistant", "")]
    (answer,) = rebuilt.answer_messages
    assert (answer.tool_calls[0].name, answer.tool_calls[0].id, answer.tool_calls[0].arguments) == (
        *("weather", "c1", {"at": "x"}),
    )
    assert type(answer.parts[0]).__name__ == "ReasoningPart"
    assert rebuilt.answer.tokens is not None
    assert (rebuilt.answer.tokens.input, rebuilt.answer.tokens.output, rebuilt.answer.tokens.cached) == (12, 3, 2)
    assert (rebuilt.answer.ids, rebuilt.model) == (("chatcmpl-1",), "m-2025")
    assert [choice.finish_reason for choice in rebuilt.answer.choices] == [None]
    function = {"name": "weather", "description": "d", "parameters": {"type": "object"}}
    assert payload(call)["tools"] == [{"type": "function", "function": function}]
    assert (payload(call)["schema"], payload(call)["options"]) == ({"type": "object"}, {"seed": 1})
    *_, tool = payload(result)["messages"]
    assert (tool["tool_call_id"], tool["name"], tool["exception"]) == ("c1", "weather", "E")
    assert tool["content"] == [
        {"type": "text", "text": "wet"}, {"type": "image_url", "image_url": {"url": "https://h.test/a.png"}},
    ]  # fmt: skip
    asked = payload(picture)["messages"][-1]["content"]
    assert asked[1] == {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}}
    assert asked[2:] == [
        {"type": "attachment", "path": "reports/a.pdf", "media_type": "application/pdf"},
        {"type": "attachment", "id": "gone"},
    ]
    assert [message["role"] for message in payload(picture)["messages"]].count("system") == 1
    assert dialogue(rebuilt_of(alone)) == [
        ("system", "be brief"), ("user", "second\nfirst\nalone"), ("assistant", "yes"),
    ]  # fmt: skip
    assert call.home is not None
    assert (call.home.name, alone.home and alone.home.name) == ("Weather (00000001)", None)
    assert call.home == result.home == picture.home != alone.home


def test_those_of_2026(path: Path) -> None:
    first, second, fork = exchanges(newest(path))
    rebuilt = rebuilt_of(second)
    assert dialogue(rebuilt) == [
        ("user", "Read a long novel!"), ("assistant", ""), ("tool", "seen"), ("assistant", "Done."),
    ]  # fmt: skip
    assert payload(second)["messages"][1]["tool_calls"][0]["function"] == {"name": "look", "arguments": '{"at": 1}'}
    assert dialogue(rebuilt_of(fork))[-1] == ("assistant", "Otherwise.")
    assert "of 2031" in fork.body.decode()
    assert (rebuilt.model, [choice.finish for choice in rebuilt.answer.choices]) == ("m-1", ["stop"])
    assert (second.end_ns, second.called) == (7_000_000, "01turn2")
    assert first.home == second.home == fork.home


@pytest.mark.parametrize(
    ("told", "verdict", "finish"),
    [
        (None, "unknown", None),
        ({"usage": {}}, "unknown", None),
        ({"choices": [{"finish_reason": "length"}]}, "complete", "length"),
        ({"stop_reason": "end_turn"}, "complete", "stop"),
        ({"done": True, "done_reason": "stop"}, "complete", "stop"),
        ({"done": True}, "complete", None),
        ({"done": False}, "unknown", None),
        ({"status": "completed"}, "complete", None),
        ({"candidates": [{"finishReason": "STOP"}]}, "complete", "stop"),
        ({"candidates": [{"finishReason": "MAX_TOKENS"}]}, "complete", "length"),
    ],
)
@pytest.mark.parametrize("made", [recent, newest])
def test_an_answer_is_complete_only_where_its_row_says_that_it_ended(
    path: Path, made: Callable[[Path], Logs], told: Any, verdict: str, finish: str | None
) -> None:
    logs = made(path)
    for table in ("responses", *(("turns",) if made is newest else ())):
        logs.run(f"UPDATE {table} SET response_json = '{json.dumps(told)}'")
    found = exchanges(logs)
    assert {rebuilt_of(one).verdict for one in found} == {verdict}
    assert {choice.finish for one in found for choice in rebuilt_of(one).answer.choices} == {finish}
    assert {"answer_end" in one.missing for one in found} == {verdict == "unknown"}


def test_ids_are_those_of_the_rows(path: Path) -> None:
    logs = recent(path)
    ids = [Identities().of(one) for one in exchanges(logs)]
    assert len(set(ids)) == 4
    logs.add(
        "responses", id="01j4", conversation_id="01jconv0000000000000000001", prompt="more", response="x", model="m"
    )
    logs.run("UPDATE conversations SET name = 'Renamed'")
    again = [Identities().of(one) for one in exchanges(logs)]
    assert set(ids) < set(again)
    assert len(again) == 5


def test_what_is_broken_is_refused_alone(path: Path) -> None:
    logs = newest(path)
    logs.run("DELETE FROM messages WHERE hash = 'a2'")
    assert [one.reason for one in entries(logs)[1] if isinstance(one, Refused)] == [
        "the message a2 that it names is not there"
    ]
    logs.run("UPDATE messages SET parent_hash = 'a3' WHERE hash = 'u1'")
    assert {one.reason for one in entries(logs)[1] if isinstance(one, Refused)} == {"its messages go in a circle"}
    logs.run("UPDATE messages SET parent_hash = NULL WHERE hash = 'u1'")
    for text in ("{", "[]", "7", '{"choices": 3, "model": {}, "id": 7}', '{"choices": [4]}', "null"):
        logs.run(f"UPDATE turns SET response_json = '{text}', token_details = '{text}', options_json = '{text}'")
        logs.run(f"UPDATE parts SET payload = '{text}'")
        assert len(entries(logs)[1]) == 3


def test_values_of_other_types(path: Path) -> None:
    whole = newest(path).path.read_bytes()
    columns = {
        "turns": ("model", "input_tokens", "duration_ms", "datetime_utc", "response_json", "schema_id", "thread_id"),
        "messages": ("role", "parent_hash"),
        "parts": ("type", "text", "payload"),
        "threads": ("name",),
    }
    for odd in ("x'ff'", "1e400", "-1", "9223372036854775807", "'2026'", "NULL", "''"):
        path.write_bytes(whole)
        logs = Logs(path)
        for table, names in columns.items():
            for name in names:
                logs.run(f"UPDATE {table} SET {name} = {odd}")
                assert len(entries(logs)[1]) == 3


def test_other_databases_are_none(path: Path) -> None:
    with pytest.raises(ImportRefused, match="none of the known"):
        entries(Logs(path, "CREATE TABLE responses (a)"))
    for number, statements in enumerate([(OLD,), RESPONSES, TURNS]):
        with pytest.raises(ImportRefused, match="no responses"):
            entries(Logs(path.with_name(f"{number}.db"), *statements))
