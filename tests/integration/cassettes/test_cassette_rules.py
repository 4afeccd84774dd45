"""The rules of a cassette: how its requests are matched and what is redacted, told in its first line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from recorder import ConfigurationError, Match, NoMatchingExchange, Player, Recorder, Store
from recorder.api.cassette_changes import set_match
from tests.integration.cassettes.files import PLAIN, SECRET, lines_of, listed
from tests.loopback import Script, serve
from tests.recorded import ask


@pytest.mark.parametrize("drainer", ["thread", "process"])
def test_rules_stand_in_the_first_line_and_stay(file: Path, drainer: str) -> None:
    rules = Match(ignore=("/user",), normalise=("ids",))
    with serve(PLAIN) as server:
        with Recorder(file, match=rules, redact=["body:name"], drainer=drainer) as recorder:
            ask(recorder.mount(requests.Session()), server.url, "one", stream=False)
        told = {"match": {"ignore": ["/user"], "normalise": ["ids"]}, "redact": ["body:name"]}
        assert lines_of(file)[0] == {"cassette": 1, "exchanges": 1} | told
        with Recorder(file) as recorder, recorder.mount(requests.Session()) as session:
            session.post(server.url, json={"name": SECRET, "stream": True})
        with Recorder(file, match=rules, redact="body:name"):
            pass
    assert SECRET not in file.read_text()
    assert lines_of(file)[0] == {"cassette": 1, "exchanges": 2} | told


@pytest.mark.parametrize(
    ("first", "asked", "says"),
    [
        ({}, {"match": Match(ignore=("/a",))}, r"matched by other rules \(strict\) than are asked for \(ignore /a\)"),
        ({"match": {"ignore": ["/b"]}}, {"match": Match()}, r"other rules \(ignore /b\)"),
        ({}, {"redact": ["body:x"]}, "without the redaction rule 'body:x': record it again"),
        ({"match": {"ignroe": []}}, {}, "no member 'ignroe'"),
        ({"match": {"ignore": "/a"}}, {"match": Match()}, "use a list"),
        ({"redact": ["cookie:x"]}, {}, "redaction rule 'cookie:x' is not understood"),
    ],
)
def test_other_rules_than_the_file_has(file: Path, first: dict[str, Any], asked: dict[str, Any], says: str) -> None:
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"cassette": 1, "exchanges": 0} | first) + "\n")
    before = file.read_bytes()
    with pytest.raises(ConfigurationError, match=says) as caught:
        Recorder(file, **asked)
    assert str(caught.value).startswith(f"{file}, line 1: ")
    assert file.read_bytes() == before
    assert listed(file.parent) == [file.name]


@pytest.mark.parametrize("redact", [5, [5], "cookie:x", ["body:x", "head:y"]])
def test_rules_of_redaction_that_are_none(file: Path, redact: Any) -> None:
    with pytest.raises(ConfigurationError, match="redact"):
        Recorder(file, redact=redact)
    assert not file.parent.exists()


def test_rules_in_another_order_are_the_same(file: Path) -> None:
    file.parent.mkdir(parents=True)
    file.write_text('{"cassette":1,"exchanges":0,"match":{"normalise":["dates","ids"],"ignore":["/b","/a"]}}\n')
    Recorder(file, match=Match(ignore=("/a", "/b"), normalise=("ids", "dates"))).close()


def test_a_store_takes_no_rules_of_matching(sqlite_url: str) -> None:
    with pytest.raises(ConfigurationError, match="give it to Player"):
        Recorder(sqlite_url, match=Match())


def test_a_player_takes_the_rules_of_the_file(file: Path) -> None:
    with serve(Script(chunks=2)) as server:
        with Recorder(file, match=Match(ignore=("/user",))) as recorder:
            live = recorder.mount(requests.Session()).post(server.url, json={"user": "a", "stream": True}).content
        played = {"user": "b", "stream": True}
        for source in (file, Store(file)):
            with Player(source) as player, player.mount(requests.Session()) as session:
                assert player.match == Match(ignore=("/user",))
                assert session.post(server.url, json=played).content == live
        with pytest.raises(NoMatchingExchange):
            with Player(file, match=Match(ignore="/user")) as player, player.mount(requests.Session()) as session:
                session.post(server.url, json=played)
                session.post(server.url, json=played)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (
            {"match": "strict"},
            r"matched by other rules \(ignore /user\) than are asked for \(strict\): ask for the same",
        ),
        ({"match": Match(ignore=("/a",))}, r"asked for \(ignore /a\): .* `recorder cassette rules --set JSON"),
        ({"allow_repeats": True}, r"asked for \(ignore /user; allow_repeats\)"),
        ({"match": Match(custom=lambda request: request)}, "no name by which a cassette's readers find it"),
    ],
)
def test_a_player_is_not_given_other_rules_than_the_file_shows(file: Path, asked: dict[str, Any], says: str) -> None:
    file.parent.mkdir(parents=True)
    file.write_text('{"cassette":1,"exchanges":0,"match":{"ignore":["/user"]}}\n')
    with pytest.raises(ConfigurationError, match=says):
        Player(file, **asked)


def test_a_player_does_not_guess_at_rules_that_it_cannot_understand(file: Path) -> None:
    file.parent.mkdir(parents=True)
    file.write_text('{"cassette":1,"exchanges":0,"match":{"ignroe":["/user"]}}\n')
    with pytest.raises(ConfigurationError, match="line 1: matching rules have no member 'ignroe'"):
        Player(file)


def test_a_streamed_payload_is_compared_too(file: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield b'{"model": "m",'
        yield b' "stream": true}'

    with serve(Script(chunks=2)) as server:
        with Recorder(file) as recorder, recorder.mount(requests.Session()) as session:
            live = session.post(server.url, data=pieces()).content
    assert "request_body_sent" in file.read_text()
    for rules in (None, Match(ignore=("/user",))):
        if rules is not None:
            set_match(file, rules)
        with Player(file) as player, player.mount(requests.Session()) as session:
            assert session.post(server.url, data=pieces()).content == live


def test_a_rule_whose_function_is_not_imported_is_told_with_its_line(file: Path) -> None:
    file.parent.mkdir(parents=True)
    first = '{"cassette":1,"exchanges":0,"conversations":0,"match":{"custom":"not_imported_here:f"}}\n'
    file.write_text(first, encoding="utf-8")
    told = rf"{re.escape(str(file))}, line 1: the matching rule custom='not_imported_here:f' is in a module that is not"
    with pytest.raises(ConfigurationError, match=told):
        Player(file)
