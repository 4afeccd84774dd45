"""Recording to a cassette and playing it: as with a store, in a file that people read."""

from __future__ import annotations

import json
import logging
import os
import re
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests

from recorder import (
    ChainBroken,
    ConfigurationError,
    Match,
    NoMatchingExchange,
    Player,
    Recorder,
    RecordingEnded,
    Store,
)
from recorder.api.cassette_changes import load, save, set_match
from recorder.api.cassette_reports import look
from recorder.faults import cut
from recorder.store import open_events
from tests.building import URL
from tests.commands import STREAMED, asking
from tests.loopback import Script, serve
from tests.recorded import ask, exchanges, in_order, python, streams, types

PLAIN = Script(chunks=5, split_utf8=True, headers=(("set-cookie", "session=kept-out"),))
SECRET = "sk-" + "never-to-be-written"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tests" / "cassettes" / "order.jsonl"


def listed(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_bytes().splitlines()]


@pytest.mark.parametrize("drainer", ["thread", "process"])
def test_what_is_recorded_is_one_file_that_people_read(file: Path, drainer: str) -> None:
    with serve(PLAIN) as server:
        with Recorder(file, drainer=drainer) as recorder, recorder.mount(requests.Session()) as session:
            with recorder.conversation("order", tags={"strategy": "cross"}):
                ask(session, server.url, "Buy?", headers={"Authorization": f"Bearer {SECRET}"}, stream=False)
            assert recorder.health().ok
    assert listed(file.parent) == ["order.jsonl"]  # no spool, no lock, nothing for .gitignore
    text = file.read_text(encoding="utf-8")
    assert SECRET not in text
    assert "kept-out" not in text
    lines = lines_of(file)
    assert lines[0] == {"cassette": 1, "exchanges": 1, "conversations": 1}
    told = [line["event"] for line in lines if "event" in line]
    assert told == ["conversation_named", "tags_set", *types_of(file)]
    asked = next(line for line in lines if line.get("event") == "request_sent")
    assert asked["head"][0] == "POST /v1/chat/completions HTTP/1.1"
    assert asked["json_spaced"]["messages"] == [{"role": "user", "content": "Buy?"}]
    chunks = [line["body"] for line in lines if line.get("event") == "chunk_received"]
    assert chunks[0][0].startswith('data: {"id":"chatcmpl-loopback"')  # and then half of a character
    assert any(isinstance(chunk, list) and len(chunk) == 2 for chunk in chunks)  # a character that is cut
    assert look(file).problems == []


def types_of(file: Path) -> list[str]:
    with Store(file) as store:
        (identity,) = [one["id"] for one in store.exchanges()]
        return [event.type for event in store.events(identity)]


@pytest.mark.parametrize("library", ["requests", "httpx"])
def test_a_cassette_plays_as_a_store_does(sqlite_url: str, file: Path, library: str) -> None:
    scripts = (
        Script(chunks=4, split_utf8=True),
        Script(chunks=4, cut_after=2),
        Script(status=429),
        Script(reset_after=3),
    )
    with serve(*scripts) as server, Recorder(sqlite_url) as recorder:
        live = _asked(recorder, server.url, library, "live", len(scripts))
    save(sqlite_url, file)
    played = []
    for source in (sqlite_url, file):
        with Player(source) as player:
            played.append(_asked(player, server.url, library, "live", len(scripts)))
            assert player.unplayed == ()
    assert played[0] == played[1]
    assert [one[:2] for one in played[1]] == [one[:2] for one in live]


def _asked(side: Any, url: str, library: str, prompt: str, times: int) -> list[Any]:
    """Return status, chunks and what was raised, of each answer to the same request."""
    found: list[Any] = []
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": prompt}]}
    for _ in range(times):
        chunks: list[bytes] = []
        status, raised = 0, ""
        try:
            if library == "requests":
                with side.mount(requests.Session()) as session, session.post(url, json=body, stream=True) as response:
                    status = response.status_code
                    chunks.extend(response.iter_content(None))
            else:
                wrapped = httpx.HTTPTransport() if isinstance(side, Recorder) else httpx
                with httpx.Client(transport=side.httpx_transport(wrapped)) as client:
                    with client.stream("POST", url, json=body) as answer:
                        status = answer.status_code
                        chunks.extend(answer.iter_raw())
        except Exception as error:
            raised = f"{type(error).__name__}: {error}"
        found.append((status, b"".join(chunks), chunks, raised))
    return found


def test_the_nth_identical_request_gets_the_nth_answer_wherever_git_has_put_it(file: Path) -> None:
    with serve(lambda number, _: Script(chunks=1, usage=False, padding=number)) as server:
        with Recorder(file) as recorder, recorder.mount(requests.Session()) as session:
            live = [ask(session, server.url, "again").content for _ in range(3)]
    assert len(set(live)) == 3
    header, *rest = file.read_bytes().splitlines(keepends=True)
    size = len(rest) // 3
    file.write_bytes(b"".join([header, *rest[2 * size :], *rest[size : 2 * size], *rest[:size]]))
    with Player(file) as player, player.mount(requests.Session()) as session:
        assert [ask(session, server.url, "again").content for _ in range(3)] == live


def test_a_consumer_that_left_and_one_that_misses(file: Path) -> None:
    with serve(Script(chunks=50, padding=3000)) as server:
        with Recorder(file) as recorder, recorder.mount(requests.Session()) as session:
            with ask(session, server.url, "left") as response:
                first = next(response.iter_content(None))
    with pytest.raises(NoMatchingExchange, match="never recorded"):
        with Player(file) as player, player.mount(requests.Session()) as session:
            with ask(session, server.url, "left") as response:
                got = response.iter_content(None)
                assert next(got) == first
                with pytest.raises(RecordingEnded):
                    list(got)
            with suppress(requests.RequestException):
                ask(session, server.url, "another")


def test_faults_and_named_exchanges(file: Path) -> None:
    with serve(Script(chunks=3)) as server:
        with Recorder(file) as recorder, recorder.mount(requests.Session()) as session:
            with recorder.conversation("one"):
                ask(session, server.url, "a", stream=False)
            ask(session, server.url, "b", stream=False)
    with Player(file, exchanges=["one"], fault=cut(after_chunks=1)) as player:
        assert len(player.unplayed) == 1
        with player.mount(requests.Session()) as session, ask(session, server.url, "a") as response:
            with pytest.raises(requests.exceptions.ChunkedEncodingError):
                list(response.iter_content(None))


def test_from_store_to_cassette_to_store_nothing_changes(store_url: str, file: Path, tmp_path: Path) -> None:
    with serve(Script(chunks=4), Script(cut_after=1)) as server:
        with Recorder(store_url) as recorder, recorder.mount(requests.Session()) as session:
            with recorder.conversation("home", tags={"a": "b"}):
                ask(session, server.url, "one", stream=False)
            with suppress(requests.RequestException):
                ask(session, server.url, "two", stream=False)
            session.get(server.url)
    save(store_url, file)
    back = f"sqlite:///{tmp_path}/back.db"
    load(file, back)

    def told(url: str) -> dict[str, list[Any]]:
        return {name: [event._replace(position=None) for event in events] for name, events in streams(url).items()}

    assert told(back) == told(store_url) == told(str(file))
    again = tmp_path / "again.jsonl"
    save(back, again)
    assert again.read_bytes() == file.read_bytes()
    before = file.read_bytes()
    assert save(store_url, file).events == 0
    assert file.read_bytes() == before


@pytest.mark.parametrize("durability", ["delivered", "batched", "synced"])
def test_more_is_added_to_what_is_there(file: Path, durability: str) -> None:
    with serve(PLAIN) as server:
        for prompt in ("one", "two"):
            with Recorder(file, durability=durability) as recorder, recorder.mount(requests.Session()) as session:
                ask(session, server.url, prompt, stream=False)
    assert [types(events)[-1] for events in streams(str(file)).values()] == ["response_completed"] * 2
    assert lines_of(file)[0] == {"cassette": 1, "exchanges": 2}


def test_a_recorder_that_records_nothing_leaves_the_file_alone(file: Path) -> None:
    with Recorder(file):
        pass
    assert not file.exists()
    assert listed(file.parent) == []
    with serve(PLAIN) as server, Recorder(file) as recorder, recorder.mount(requests.Session()) as session:
        ask(session, server.url, "one", stream=False)
    crlf = file.read_bytes().replace(b"\n", b"\r\n")[:-2]
    file.write_bytes(crlf)
    with Recorder(file):
        pass
    assert file.read_bytes() == crlf


def test_what_git_has_made_of_line_ends_can_be_added_to(file: Path) -> None:
    with serve(PLAIN) as server:
        with Recorder(file) as recorder, recorder.mount(requests.Session()) as session:
            ask(session, server.url, "one", stream=False)
        file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n")[:-2])
        with Recorder(file) as recorder, recorder.mount(requests.Session()) as session:
            ask(session, server.url, "two", stream=False)
    assert b"\r\n" not in file.read_bytes()
    assert len(exchanges(str(file))) == 2


def test_switched_off(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECORDER_OFF", "1")
    with serve(PLAIN) as server, Recorder(file) as recorder, recorder.mount(requests.Session()) as session:
        ask(session, server.url, "one", stream=False)
    assert not file.parent.exists()


@pytest.mark.parametrize("name", ["50% of it.jsonl", "Züge 你好.jsonl", "a?b#c.jsonl", "a%20b.jsonl", "-.jsonl"])
def test_any_name(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sources: tuple[Path | str, ...] = (tmp_path / "é d" / name, name)
    for at, source in enumerate(sources):
        with serve(PLAIN) as server, Recorder(source) as recorder, recorder.mount(requests.Session()) as session:
            body = ask(session, server.url, "one").content
        with Player(source) as player, player.mount(requests.Session()) as session:
            assert ask(session, server.url, "one").content == body
        assert len(exchanges(str(source))) == 1, at
    assert listed(tmp_path) == sorted([name, "é d"])


def test_the_environment_names_one(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECORDER_STORE", str(file))
    with serve(PLAIN) as server, Recorder() as recorder, recorder.mount(requests.Session()) as session:
        body = ask(session, server.url, "one").content
    with Player() as player, player.mount(requests.Session()) as session:
        assert ask(session, server.url, "one").content == body
    assert listed(file.parent) == [file.name]


def test_a_link_stays_one(file: Path, tmp_path: Path) -> None:
    file.parent.mkdir(parents=True)
    link = tmp_path / "link.jsonl"
    link.symlink_to(file)
    with serve(PLAIN) as server:
        for source in (link, file):
            with Recorder(source) as recorder, recorder.mount(requests.Session()) as session:
                ask(session, server.url, "one", stream=False)
    assert link.is_symlink()
    assert len(exchanges(str(link))) == 2
    assert listed(file.parent) == [file.name]


# Rules


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


# Several at once


def test_two_recorders_and_their_threads_record_into_one(file: Path) -> None:
    with serve(Script(chunks=8, gap=0.002)) as server, Recorder(file) as one, Recorder(file) as two:

        def talk(recorder: Recorder, number: int) -> None:
            with recorder.mount(requests.Session()) as session:
                for turn in range(3):
                    ask(session, server.url, f"{number}-{turn}", stream=False)

        threads = [
            threading.Thread(target=talk, args=(side, 10 * i + n)) for i, side in enumerate((one, two)) for n in (0, 1)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert one.health().ok
        assert two.health().ok
    found = exchanges(str(file))
    payloads = [exchange.request.payload for exchange in found.values() if exchange.request is not None]
    prompts = {json.loads(payload)["messages"][0]["content"] for payload in payloads}
    assert len(payloads) == 12
    assert prompts == {f"{number}-{turn}" for number in (0, 1, 10, 11) for turn in range(3)}
    assert look(file).problems == []
    assert listed(file.parent) == [file.name]


def test_forked_children_record_into_it_too(file: Path) -> None:
    with serve(Script(chunks=3)) as server, Recorder(file) as recorder:
        session = recorder.mount(requests.Session())
        ask(session, server.url, "parent", stream=False)
        children = []
        for number in range(3):
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    ask(recorder.mount(requests.Session()), server.url, f"child {number}", stream=False)
                    recorder.close()
                    code = 0
                finally:
                    os._exit(code)
            children.append(child)
        assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
        ask(session, server.url, "parent again", stream=False)
    assert len(exchanges(str(file))) == 5
    assert look(file).problems == []
    assert listed(file.parent) == [file.name]


def test_a_player_says_when_a_spool_of_a_dead_process_lies_beside(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    program = (
        "import os, sys, requests; from recorder import Recorder; from tests.recorded import ask\n"
        "recorder = Recorder(sys.argv[1]); session = recorder.mount(requests.Session())\n"
        "ask(session, sys.argv[2], 'one').content; recorder.flush()\n"
        "kept = ask(session, sys.argv[2], 'two'); os._exit(9)"
    )
    with serve(Script(chunks=3), Script(stall_after=1)) as server:
        with python(program, str(file), server.url, stderr=None) as child:
            assert child.wait(30) == 9
        with caplog.at_level(logging.WARNING, "recorder"), closing(Player(file)):
            assert f"`recorder recover --store {file}` finishes it" in caplog.text
        with Recorder(file) as recorder:
            assert len(recorder.recovered.died) == 1
        caplog.clear()
        with caplog.at_level(logging.WARNING, "recorder"), closing(Player(file)) as player:
            assert caplog.text == ""
            assert len(player.unplayed) == 2
    assert [exchange.transport_end for exchange in in_order(str(file))] == ["response_completed", "process_died"]
    assert listed(file.parent) == [file.name]


# Edited requests


@pytest.mark.parametrize(
    "edit", ['"head":"x"', '"head":-1', '"head":1', '"redacted":7', '"redacted":[7]', '"method":7']
)
def test_an_edited_request_is_never_played_and_never_a_defect(file: Path, edit: str) -> None:
    name = edit.partition(":")[0]
    built = asking(1, ("user", "one"), redacted=[]).response(headers=STREAMED).chunks(b"data: 1\n\n").completed()
    log = open_events(str(file))
    log.append([built.opened], built.events)
    log.close()
    text = file.read_text()
    changed = re.sub(rf'{name}:(\d+|"POST"|\[\])', edit, text, count=1)
    assert changed != text
    file.write_text(changed)
    body = json.dumps({"model": "m-1", "messages": [{"role": "user", "content": "one"}], "stream": True})
    with pytest.raises((ChainBroken, NoMatchingExchange)):
        with Player(file) as player, player.mount(requests.Session()) as session:
            session.post(URL, data=body)


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


def test_a_question_that_was_edited_is_told_as_such_and_not_as_a_miss(file: Path) -> None:
    with serve(Script(chunks=1)) as server:
        with Recorder(file) as recorder, recorder.mount(requests.Session()) as session:
            ask(session, server.url, "Buy?")
    file.write_text(file.read_text(encoding="utf-8").replace("Buy?", "Sell?"), encoding="utf-8")
    with pytest.raises(ChainBroken, match=re.escape(str(file))):
        with Player(file) as player, player.mount(requests.Session()) as session:
            with suppress(ChainBroken):
                ask(session, server.url, "Buy?")
            assert player.misses == ()


def test_a_rule_whose_function_is_not_imported_is_told_with_its_line(file: Path) -> None:
    file.parent.mkdir(parents=True)
    first = '{"cassette":1,"exchanges":0,"conversations":0,"match":{"custom":"not_imported_here:f"}}\n'
    file.write_text(first, encoding="utf-8")
    told = rf"{re.escape(str(file))}, line 1: the matching rule custom='not_imported_here:f' is in a module that is not"
    with pytest.raises(ConfigurationError, match=told):
        Player(file)
