"""Recording to a cassette and playing it: as with a store, in a file that people read."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests

from recorder import ChainBroken, NoMatchingExchange, Player, Recorder, RecordingEnded, Store
from recorder.api.cassette_changes import load, save
from recorder.api.cassette_reports import look
from recorder.faults import cut
from recorder.store import open_events
from tests.building import URL
from tests.commands import STREAMED, asking
from tests.integration.cassettes.files import PLAIN, SECRET, lines_of, listed
from tests.loopback import Script, serve
from tests.recorded import ask, exchanges, streams, types


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
        except (requests.RequestException, httpx.HTTPError) as error:
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


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="only Linux tells what a process has read")
def test_a_cassette_is_read_once_where_it_is_opened(file: Path) -> None:
    with serve(Script(chunks=400, padding=1000)) as server, Recorder(file) as recorder:
        assert ask(recorder.mount(requests.Session()), server.url, "Buy?").content
    size = file.stat().st_size

    def read() -> int:
        return int(Path("/proc/self/io").read_text(encoding="ascii").split()[1])

    Recorder(file).close()  # which has read everything else that is read the first time
    before = read()
    with Recorder(file):
        assert 400_000 < size < read() - before < 1.5 * size
