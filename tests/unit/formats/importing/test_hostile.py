"""Files that are made to hang, to exhaust memory, or to hold another type than the format has in a place."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recorder import Store
from recorder.api.importing import Import
from recorder.clock import id_text
from recorder.core.conversation import Conversation
from recorder.core.exchange import fold
from recorder.core.redaction import Redaction
from recorder.dialects.rebuild import rebuild
from recorder.errors import ImportRefused
from recorder.formats.base import render
from recorder.formats.importing.base import Foreign, Refused
from recorder.formats.importing.go_vcr import duration_ns
from recorder.formats.importing.source import LARGEST
from recorder.formats.importing.yaml_data import items
from recorder.recording.imports import Identities, Writer
from tests.building import ExchangeBuilder, delta, identity
from tests.unit.formats.importing.reading import one, read, refusal
from tests.unit.formats.importing.test_cassettes import VCRPY
from tests.unit.formats.importing.test_chatgpt import SIMPLE, TOOLS
from tests.unit.formats.importing.test_har import entry, har
from tests.unit.recording.test_imports import FILE

#: Ten lines that stand for 9 to the power of 9 values.
BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{at}: &a{at} [{', '.join([f'*a{at - 1}'] * 9)}]\n" for at in range(1, 10)
)


@pytest.mark.parametrize(
    "place", ["method: POST", "uri: https://api.example.test/v1", "body: '{\"a\": 1}'", "Accept: ['*/*']", "code: 200",
              "message: OK", "string: \"data: \\xe9\\n\\n\"", "content-type: [text/event-stream]", "version: 1"],
)  # fmt: skip
def test_a_bomb_of_aliases_is_refused_at_once_wherever_it_stands(place: str) -> None:
    assert place in VCRPY
    for end in ("", "]"):
        name = place.partition(":")[0]
        with pytest.raises(ImportRefused, match="aliases"):
            read(BOMB + VCRPY.replace(place, f"{name}: {'[' if end else ''}*a9{end}"))
    with pytest.raises(ImportRefused, match="aliases"):
        read(BOMB + f"? *a9\n: x\n{VCRPY}")


def test_aliases_may_stand_for_as_much_as_the_file_has() -> None:
    text = "x" * 1000
    many = "".join(f"      H{at}: *a\n" for at in range(200))
    found = one(VCRPY.replace("      Accept: ['*/*']\n", f"      Accept: &a ['{text}']\n{many}"))
    assert len(found.request_headers) == 203
    long = VCRPY.replace("      Accept: ['*/*']\n", f"      Accept: &a ['{text * 100}']\n{many}")
    with pytest.raises(ImportRefused, match="aliases"):
        read(long)


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("method: [POST]", "a list"),
        ("uri: {a: b}", "a mapping"),
        ("code: [200]", "is none of HTTP"),
        ("code: .inf", "is none of HTTP"),
        ("code: !!binary aGk=", "is none of HTTP"),
        ("message: {O: K}", "a mapping"),
        ("Accept: [[a, b]]", "a list"),
        ("content-type: {a: b}", "a mapping"),
    ],
)
def test_a_list_or_a_mapping_is_no_text(place: str, told: str) -> None:
    name = place.partition(":")[0]
    line = next(line for line in VCRPY.splitlines() if f"{name}:" in line)
    start, _, rest = line.partition(f"{name}:")
    changed = f"{start}{place}{', message: OK}' if name == 'code' else '}' if rest.endswith('}') else ''}"
    assert told in refusal(VCRPY.replace(line, changed))


def test_a_list_or_a_mapping_is_no_key() -> None:
    assert "a key in it is a list" in refusal(VCRPY.replace("Accept: ['*/*']", "? [a, b]\n      : x"))


@pytest.mark.parametrize(
    "number", ["0x" + "f" * 6000, "0" + "7" * 9000, "0b" + "1" * 20_000, "9" * 6000, "1:" * 3000 + "1"]
)
def test_a_number_longer_than_any_is_text(number: str) -> None:
    assert list(items(f"a: {number}\n".encode())) == [("a", number)]
    for place in ("method: POST", "uri: https://api.example.test/v1", "message: OK", "Accept: ['*/*']"):
        name = place.partition(":")[0]
        (entry,) = read(VCRPY.replace(place, f"{name}: {number}"))
        assert isinstance(entry, Foreign | Refused)
    assert "is none of HTTP" in refusal(VCRPY.replace("code: 200", f"code: {number}"))
    read(VCRPY.replace("version: 1", f"version: {number}"))


def test_a_duration_longer_than_any_is_none() -> None:
    assert duration_ns("9" * 400 + "h") is None
    assert duration_ns("99999999999h") is None


def test_what_unpacks_to_more_than_fits_is_refused() -> None:
    member = gzip.compress(bytes(16 * 1024 * 1024), 1)
    with pytest.raises(ImportRefused, match="unpacks to more than"):
        read(member * (LARGEST // (16 * 1024 * 1024) + 1))
    assert LARGEST <= 512 * 1024 * 1024
    engine = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = engine.compress(json.dumps([]).encode()) + engine.flush()
    with pytest.raises(ImportRefused, match="none of the known"):
        read(packed)


def ours(name: str) -> str:
    """Return an export of ours in which every field is filled that an importer reads."""
    facts = {"conversation": id_text(identity(9)), "name": "desk", "redacted": ["url:key"]}
    asked = [{"role": "user", "content": "q"}]
    builder = ExchangeBuilder(3).request({"model": "m", "messages": asked}, **facts).response(redacted=["header:a"])
    error = {"type": "builtins.OSError", "message": "m", "errno": 1, "args": [1, "a"]}
    builder.sse(delta(content="x"), done=False)
    builder.event("response_failed", {"kind": "reset", "phase": "body", "error": error, "received": 9, "proxy": True})
    exchange = fold(builder.events)
    assert exchange is not None
    before = {"imported": {"missing": ["header_values"], "file": "f"}, "imported_at": "2026-01-01T00:00:00Z"}
    exchange = replace(exchange, imported={"before": before, "missing": ["header_values"]}, imported_ns=1)
    home = Conversation(id_text(identity(9)), "desk", (exchange.id,), {})
    return "".join(str(piece) for piece in render(name, [rebuild(exchange)], home))


LLM_REQUEST = {"method": "POST", "url": "https://a.test", "headers": {"x": ["y"]}, "body": {"b64": "e30="}}
DOCUMENTS = {
    "our har": ours("har"),
    "our json": ours("json"),
    "our jsonl": ours("jsonl"),
    "har": json.dumps(har(entry(), entry(response={"status": 0, "_error": "x"}))),
    "polly": json.dumps(har(entry(response={"status": 200, "content": {"encoding": "base64", "text": '["YQ=="]'}}))),
    "vcrpy": json.dumps({"version": 1, "interactions": [{
        "request": {"method": "GET", "uri": "http://a.test", "body": {"string": "a"}, "headers": {"a": ["b"]}},
        "response": {"status": {"code": 204, "message": "No"}, "body": {"base64_string": ""}, "http_version": "1"}}]}),
    "ruby-vcr": json.dumps({"recorded_with": "VCR 6", "http_interactions": [{
        "request": {"method": "get", "uri": "http://a.test", "body": {"string": ""}, "headers": {}},
        "response": {"status": {"code": 200, "message": "OK"}, "headers": {}, "body": {"string": "a"},
                     "http_version": "1.1"}, "recorded_at": "now"}]}),
    "req-llm": json.dumps({"captured_at": "x", "request": LLM_REQUEST, "chunks": [{"b64": ""}],
                           "response": {"status": 200, "headers": {}, "body": {"b64": ""}}}),
    "training": json.dumps({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}),
    "chatgpt": json.dumps([SIMPLE]),
    "chatgpt with tools": json.dumps(TOOLS),
    "batch": json.dumps({"custom_id": "1", "response": {"status_code": 200, "body": {}}, "error": None}),
}  # fmt: skip
ODD = [None, True, 0, -1, 10**30, 1.5, 1e308, float("inf"), float("nan"), "", "x", "\ud800", "\0", "9" * 30, [], [[]],
       {}, {"a": {}}, [None], [1, "a"], {"missing": 7}, [{"end": -1}], "response_completed"]  # fmt: skip


def places(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every value within another."""
    yield before
    for key, held in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(held, (*before, key))


def changed(value: Any, place: tuple[Any, ...], other: Any) -> Any:
    if not place:
        return other
    copy = value.copy()
    copy[place[0]] = changed(value[place[0]], place[1:], other)
    return copy


def check_taken(data: bytes, folder: Path) -> None:
    """Import bytes into a store, bring its tables up to date and look at all that is in it."""
    url = f"sqlite:///{folder}/store.db"
    file = folder / "file"
    file.write_bytes(data)
    with Import(url) as importing:
        report = importing.file(file)
        importing.project()
    assert report.reason is None or ("\n" not in report.reason and report.reason)
    if not report.imported and not report.present:
        return
    with Store(url) as store:
        for row in store.exchanges(limit=3):
            rebuilt = store.exchange(row["id"])
            for name in ("har", "jsonl", "csv", "otlp", "html", "markdown"):
                "".join(str(piece) for piece in render(name, [rebuilt]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("hostile")
    check_taken(VCRPY.encode(), made)
    return made


def check_changed(name: str, step: int) -> None:
    """Each value of a file, one after the other, as every *step*-th of the others: read or refused, made into events.

    Where a step leaves some out, they are others at each place, so that each of them is somewhere.
    """
    value = json.loads(DOCUMENTS[name])
    writer = Writer(Redaction(b"key"), b"i" * 16, lambda size: b"s" * size, 1)
    for number, place in enumerate(places(value)):
        for odd in ODD[number % step :: step]:
            data = json.dumps(changed(value, place, odd)).encode()
            with suppress(ImportRefused):
                for found in read(data):
                    if isinstance(found, Foreign):
                        made = writer.made(Identities().of(found), found, FILE)
                        exchange = fold(made.events)
                        assert exchange is not None
                        rebuild(exchange)
                    else:
                        assert found.reason
                        assert "\n" not in found.reason


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_value_may_be_of_another_type(name: str) -> None:
    check_changed(name, 5)


@pytest.mark.soak
@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_value_may_be_of_any_other_type(name: str) -> None:
    check_changed(name, 1)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(DOCUMENTS)), st.data())
def test_what_is_read_can_be_stored_and_shown(folder: Path, name: str, data: st.DataObject) -> None:
    value = json.loads(DOCUMENTS[name])
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from(sorted(places(value), key=str)))
        value = changed(value, place, data.draw(st.sampled_from(ODD) | st.integers() | st.text() | st.floats()))
    check_taken(json.dumps(value).encode(), folder)
