"""``recorder tail``: what other processes record, as it begins and as it ends."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from recorder.api.following import Following, followed
from recorder.api.reader import Reader
from recorder.clock import id_text
from recorder.store import open_store
from recorder.store.schema import upgrade
from recorder.store.sql import SqlStore
from tests.building import ExchangeBuilder, delta, identity
from tests.commands import SCHEMAS, STREAMED, answered, asking, fill, identity_of, process

VALIDATOR = Draft202012Validator(json.loads((SCHEMAS / "tail.schema.json").read_text()))


@pytest.fixture
def url(store_url: str) -> str:
    upgrade(store_url)
    return store_url


@pytest.fixture
def store(url: str) -> Iterator[SqlStore]:
    with closing(open_store(url, write=True)) as opened:
        yield opened


def add(store: SqlStore, built: ExchangeBuilder, start: int = 0, end: int | None = None) -> None:
    store.append([built.opened] if start == 0 else [], built.events[start:end])


def line(tailing: subprocess.Popen[bytes]) -> dict[str, Any]:
    assert tailing.stdout is not None
    value: dict[str, Any] = json.loads(tailing.stdout.readline())
    VALIDATOR.validate(value)
    return value


def test_each_exchange_is_a_line_when_it_begins_and_one_when_it_ends(url: str, store: SqlStore) -> None:
    add(store, answered(1, ("user", "a")))
    open_one = asking(2, ("user", "b"))
    add(store, open_one)
    tailing = process("tail", "--json", "-n", "2", "--store", url)
    first, second = line(tailing), line(tailing)
    assert [(one["state"], one["id"]) for one in (first, second)] == [
        ("ended", identity_of(answered(1))),
        ("began", identity_of(open_one)),
    ]
    assert (first["verdict"], first["finish"], "verdict" in second, second["model"]) == (
        "complete",
        ["stop"],
        False,
        "m-1",
    )
    built = answered(3, ("user", "c"), conversation=id_text(identity(9)), name="desk")
    add(store, built, 0, 2)
    began = line(tailing)
    assert (began["state"], began["id"], began["conversation_name"]) == ("began", identity_of(built), "desk")
    add(store, built, 2)
    ended = line(tailing)
    assert (ended["state"], ended["verdict"], ended["chunks"]) == ("ended", "complete", 7)
    late = open_one.event("response_failed", {}).event("consumer_closed", {"received": 0})
    add(store, late, 1)
    ended = line(tailing)
    assert (ended["state"], ended["id"], ended["verdict"]) == ("ended", identity_of(open_one), "errored")
    add(store, answered(4, ("user", "d")))  # nothing of the second end comes before it
    assert [line(tailing)["state"] for _ in range(2)] == ["began", "ended"]
    tailing.send_signal(signal.SIGINT)
    out, err = tailing.communicate(timeout=30)
    assert (tailing.returncode, out, err) == (130, b"", b"")


def test_for_people(url: str, store: SqlStore) -> None:
    add(store, answered(1, ("user", "a")))
    tailing = process("tail", "--store", url)
    assert tailing.stdout is not None
    told = tailing.stdout.readline().decode()
    assert told.split()[1:4] == [identity_of(answered(1))[-8:], "complete", "200"]
    add(store, asking(2, ("user", "b\x1b[2J")))
    assert "…  POST  api.example.test/v1/chat/completions  m-1" in tailing.stdout.readline().decode()
    tailing.send_signal(signal.SIGINT)
    assert tailing.communicate(timeout=30)[1] == b""


@pytest.fixture
def reader(url: str) -> Iterator[Reader]:
    with closing(Reader(url)) as opened:
        yield opened


CALL = {"index": 0, "id": "c1", "function": {"name": "buy", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, ["began 1", "ended 1", "began 2", "ended 2", "began 3"]),
        ({"finish": "tool_calls"}, ["ended 2"]),
        ({"tool": "buy"}, ["ended 2"]),
        ({"verdict": "complete"}, ["ended 1", "ended 2"]),
        ({"status": 500}, []),
        ({"model": "m-1"}, ["began 1", "ended 1", "ended 2", "began 3"]),
        ({"model": "m-2"}, ["began 2"]),  # the answer says m-1
        ({"conversation": "desk"}, ["began 2", "ended 2"]),
        ({"conversation": id_text(identity(9))}, ["began 2", "ended 2"]),
        ({"conversation": id_text(identity(9))[:13]}, ["began 2", "ended 2"]),
        ({"conversation": "-"}, []),
        ({"tags": {"bot": "elion"}}, ["began 2", "ended 2"]),
        ({"tags": {"bot": "elion", "x": "y"}}, []),
        ({"conversation": "other", "tags": {"bot": "elion"}}, []),
        ({"since_ns": 1_790_000_003_000_000_000}, ["began 3"]),
    ],
)
def test_filters(store: SqlStore, reader: Reader, filters: dict[str, Any], expected: list[str]) -> None:
    following = Following(reader, followed(**filters))
    opening = ExchangeBuilder(9).event("conversation_named", {"name": "desk"})
    add(store, opening.event("tags_set", {"tags": {"bot": "elion"}}))
    called = asking(2, ("user", "b"), model="m-2", conversation=id_text(identity(9)), name="desk")
    called.response(headers=STREAMED).sse(delta(tool_calls=[CALL]), delta(finish="tool_calls")).completed()
    for built in (answered(1, ("user", "a")), called, asking(3, ("user", "c"))):
        add(store, built)
    numbers = {id_text(identity(number)): number for number in (1, 2, 3)}
    assert [f"{one['state']} {numbers[one['id']]}" for one in following.changes()] == expected
    assert list(following.changes()) == []


def test_what_ended_between_is_told_once(store: SqlStore, reader: Reader) -> None:
    following = Following(reader)
    add(store, answered(1, ("user", "a")))
    assert [one["state"] for one in following.last(5)] == ["ended"]
    assert [one["state"] for one in following.changes()] == []


def test_what_was_there_before_is_not_told(store: SqlStore, reader: Reader) -> None:
    add(store, answered(1, ("user", "a")))
    following = Following(reader)
    assert list(following.changes()) == []
    add(store, answered(2, ("user", "b")))
    assert [one["state"] for one in following.changes()] == ["began", "ended"]


def test_a_store_that_is_taken_away_ends_it(sqlite_url: str) -> None:
    fill(sqlite_url, answered(1, ("user", "a")))
    tailing = process("tail", "--store", sqlite_url)
    assert tailing.stdout is not None
    tailing.stdout.readline()
    Path(sqlite_url.removeprefix("sqlite:///")).unlink()
    _, err = tailing.communicate(timeout=30)
    assert tailing.returncode == 3
    assert err.decode().startswith("error: sqlite:///")
    assert err.count(b"\n") == 1
