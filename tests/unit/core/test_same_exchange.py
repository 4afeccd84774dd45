"""Whether what is brought under an id is what is there: what differs, and what is not compared."""

from __future__ import annotations

import json

import pytest

from recorder.core.exchange import Exchange, fold
from recorder.core.same_exchange import DIFFERS, Difference, difference
from tests.building import ExchangeBuilder
from tests.commands import SCHEMAS

HEAD = {"framing": "close"}


def exchange(built: ExchangeBuilder) -> Exchange:
    folded = fold(built.events)
    assert folded is not None
    return folded


def brought(*missing: str, own: bool = False, auth: str = "a", body: bytes = b"{}", end: str = "") -> Exchange:
    before = {"before": {}} if own else {}
    built = ExchangeBuilder().event("imported", {"missing": list(missing), **before})
    built.wall_ns -= 1_000_000  # the import is told first, and took no time
    built.mono_ns -= 1_000_000
    if "request" not in missing:
        built.request(body, headers=[("authorization", auth)])
    if "response_head" not in missing:
        built.response(200, **HEAD)
    built.chunks(b"ab", b"cd")
    return exchange(built.event(end, {}) if end else built.completed())


def there(auth: str = "a", body: bytes = b"{}") -> Exchange:
    built = ExchangeBuilder().request(body, headers=[("authorization", auth)]).response(200, **HEAD)
    return exchange(built.chunks(b"ab", b"cd").completed())


def test_the_same_is_the_same() -> None:
    assert difference(there(), brought()) is None
    assert difference(there(), brought(own=True)) is None
    assert difference(brought(), brought()) is None


@pytest.mark.parametrize(
    ("auth", "body"),
    [("~redacted~authorization~{}~", b"{}"), ("a", b'{"api_key": "~redacted~api-key~%b~"}')],
)
def test_markers_of_another_key_are_the_same_where_another_tool_recorded(auth: str, body: bytes) -> None:
    ours, theirs = ((auth.format(digit * 16), body.replace(b"%b", digit.encode() * 16)) for digit in ("1", "2"))
    assert difference(there(*ours), brought(auth=theirs[0], body=theirs[1])) is None
    # What we recorded comes back with the markers that it has.
    told = difference(there(*ours), brought(own=True, auth=theirs[0], body=theirs[1]))
    assert told is not None
    assert told.names in (("request_headers",), ("request_body",))


@pytest.mark.parametrize(
    ("missing", "differs"),
    [
        (["request_body"], ("request_headers",)),
        (["request_head"], ("request_body",)),
        (["request_head", "request_body"], None),
        (["request"], None),
        ([], ("request_headers", "request_body")),
    ],
)
def test_what_the_file_does_not_tell_is_not_compared(missing: list[str], differs: tuple[str, ...] | None) -> None:
    lacks = [*missing, "started_at", "head_time", "chunk_times", "end_time"]
    found = difference(there("b", b"[]"), brought(*lacks))
    assert found == (None if differs is None else Difference(differs))


def test_times_that_are_told_are_compared() -> None:
    started = exchange(ExchangeBuilder(2).request(b"{}", headers=[("authorization", "a")]).response(200, **HEAD))
    late = ExchangeBuilder(step_ns=7).request(b"{}", headers=[("authorization", "a")]).response(200, **HEAD)
    slow = exchange(late.chunks(b"ab", b"cd").completed())
    assert difference(slow, brought()) == Difference(("times",))
    assert difference(slow, brought("head_time", "chunk_times", "end_time")) is None
    found = difference(started, brought("head_time", "chunk_times", "end_time"))
    assert found is not None
    assert "times" in found.names


def test_a_beginning_is_told_apart_from_another_recording() -> None:
    begun = ExchangeBuilder().request(b"{}", headers=[("authorization", "a")]).response(200, **HEAD).chunks(b"ab")
    assert difference(exchange(begun), brought()) == Difference(("response_body", "chunks", "times", "end"), "store")
    only_asked = ExchangeBuilder().request(b"{}", headers=[("authorization", "a")])
    found = difference(exchange(only_asked), brought())
    assert found is not None
    assert (found.names[0], found.beginning) == ("status", "store")
    other = ExchangeBuilder().request(b"{}", headers=[("authorization", "a")]).response(200, **HEAD).chunks(b"ax")
    assert difference(exchange(other), brought()) == Difference(("response_body", "chunks", "times", "end"))
    assert difference(there(), brought(end="response_truncated")) == Difference(("end",))


def test_the_schema_names_what_can_differ() -> None:
    schema = json.loads((SCHEMAS / "import.schema.json").read_text(encoding="utf-8"))
    one = schema["properties"]["different"]["items"]["properties"]
    assert one["differs"]["items"]["enum"] == list(DIFFERS)
