"""Several who record into one cassette: threads, recorders, forked children, and a process that died."""

from __future__ import annotations

import json
import logging
import os
import threading
from contextlib import closing
from pathlib import Path

import pytest
import requests

from recorder import Player, Recorder
from recorder.api.cassette_reports import look
from tests.integration.cassettes.files import listed
from tests.loopback import Script, serve
from tests.recorded import ask, exchanges, in_order, python


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
