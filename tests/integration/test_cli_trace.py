"""From an order back to what led to it; links and seals that somebody makes who is no recorder."""

from __future__ import annotations

import json
import logging
from contextlib import closing
from pathlib import Path

import pytest
import requests

from recorder import Recorder
from recorder.clock import SystemClock, id_bytes
from recorder.core.heads import log_id
from recorder.core.merkle import leaf_hash, verify_inclusion
from recorder.core.notes import open_checkpoint, parse_proof
from recorder.ledger import keys
from recorder.store import open_store
from tests.bundles import repacked
from tests.commands import json_lines, run, told
from tests.loopback import Script, serve
from tests.recorded import ask, journals, streams
from tests.sealing import ORIGIN, founded


def traded(url: str) -> tuple[list[str], str]:
    """Record a conversation in which the second answer leads to an order; return its exchanges and the order's tag."""
    with serve(Script(chunks=3)) as server, Recorder(url) as recorder:
        session = recorder.mount(requests.Session())
        ids = []
        with recorder.conversation("desk"):
            for prompt in ("Buy or hold?", "How much?"):
                response = ask(session, server.url, prompt)
                assert response.content
                ids.append(recorder.exchange(response) or "")
            receipt = recorder.seal(response)
            assert receipt is not None
            recorder.link(kind="order", id="12345", exchange=response, tag=receipt.tag, symbol="EURUSD", size=3)
            assert ask(session, server.url, "What now?").content  # which came after the order
    return ids, receipt.tag


def test_an_order_is_traced_to_the_exchanges_that_led_to_it(store_url: str) -> None:
    ids, tag = traded(founded(store_url))
    (found,) = json_lines(run("trace", "order:12345", "--json", "--store", store_url), "trace")
    assert [step["exchange"] for step in found["steps"]] == ids
    assert (found["exchange"], found["tag"], found["facts"]) == (ids[1], tag, {"symbol": "EURUSD", "size": 3})
    assert found["conversation_name"] == "desk"
    for step, prompt in zip(found["steps"], ("Buy or hold?", "How much?"), strict=True):
        assert step["verdict"] == "complete"
        assert step["asked"][-1]["parts"][0]["text"] == prompt
        (part,) = step["answered"][0]["parts"]
        assert part["text"] == Script(chunks=3).text(prompt)
        assert part["origin"]["bytes"]
        assert step["seal"]["ended"]
        assert step["seal"]["before_link_ms"] >= 0
    shown = run("trace", "order:12345", "--store", store_url).stdout
    for text in ("order 12345", tag, "EURUSD", ids[0], "the order rests on this", "before the link", "from bytes"):
        assert text in shown
    assert "What now?" not in shown


def test_a_trace_without_a_ledger_says_that_nothing_is_sealed(sqlite_url: str) -> None:
    with serve(Script(chunks=3)) as server, Recorder(sqlite_url) as recorder:
        response = ask(recorder.mount(requests.Session()), server.url, "x")
        assert response.content
        recorder.link(kind="order", id="7", exchange=response)
    (found,) = json_lines(run("trace", "order:7", "--json", "--store", sqlite_url), "trace")
    assert "seal" not in found["steps"][0]
    assert "not sealed" in run("trace", "order:7", "--store", sqlite_url).stdout


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (("trace", "order:99"), 1, "nothing is linked to order:99"),
        (("trace", "12345"), 2, "is not KIND:ID"),
        (("trace", "order: "), 2, "the id in 'order: ' is blank: write KIND:ID, as in order:12345"),
        (("link", "order: ", "x"), 2, "the id in 'order: ' is blank"),
        (("link", "order", "x"), 2, "is not KIND:ID"),
        (("link", "order:1", "nobody"), 1, "nothing is called"),
        (("seal",), 2, "recorder keys init"),
        (("seal", "-o", "proof"), 2, "name one"),
    ],
)
def test_what_cannot_be_traced_linked_or_sealed_is_one_line(
    args: tuple[str, ...], code: int, says: str, sqlite_url: str
) -> None:
    assert says in told(run(*args, "--store", sqlite_url), code)


def test_a_link_made_later_is_recorded_journaled_and_sealed(store_url: str) -> None:
    ids, _ = traded(founded(store_url))
    done = run("link", "order:777", ids[0], "--fact", "side=buy", "--fact", "size=2", "--store", store_url)
    assert done.exit_code == 0, done.stderr
    (found,) = json_lines(run("trace", "order:777", "--json", "--store", store_url), "trace")
    assert found["facts"] == {"side": "buy", "size": 2}
    assert [step["exchange"] for step in found["steps"]] == ids[:1]
    written = streams(store_url)
    (journal,) = [
        events for events in journals(store_url).values() if events[0].facts["configuration"] == {"action": "link"}
    ]
    assert [event.type for event in journal] == ["instance_started", "stream_written", "instance_stopped"]
    assert journal[1].facts["stream"] == found["link"]
    with closing(open_store(store_url, write=False)) as store:
        for events in (journal, written[found["link"]]):
            leaf = store.ledger.last_leaf(events[0].stream)
            assert leaf is not None
            assert (leaf.head.length, leaf.head.hash) == (len(events), events[-1].hash)


def test_what_was_recorded_without_the_key_is_sealed_by_hand_and_proved(store_url: str, tmp_path: Path) -> None:
    with serve(Script(chunks=3)) as server, Recorder(store_url) as recorder:
        response = ask(recorder.mount(requests.Session()), server.url, "x")
        assert response.content
        identity = recorder.exchange(response) or ""
    founded(store_url)
    assert "signed checkpoint" in run("seal", "--store", store_url).stdout
    file = tmp_path / "x.tlog-proof"
    done = run("seal", identity, "-o", str(file), "--json", "--store", store_url)
    (value,) = json_lines(done, "seal")
    proof = parse_proof(file.read_text())
    assert value["proof"] == file.read_text() == run("seal", identity, "--store", store_url).stdout
    checkpoint = open_checkpoint(proof.checkpoint, ORIGIN, keys.known(ORIGIN))
    assert proof.extra is not None
    assert proof.extra[:49] == b"recorder/head/v1\0" + log_id(ORIGIN)
    assert proof.extra[49:65] == id_bytes(identity)
    assert verify_inclusion(leaf_hash(proof.extra), proof.index, checkpoint.size, proof.path, checkpoint.root)


def test_a_link_is_recorded_where_the_key_is_lost(sqlite_url: str, caplog: pytest.LogCaptureFixture) -> None:
    ids, _ = traded(founded(sqlite_url))
    for file in keys.signing_keys().glob("*.key"):
        file.unlink()
    with caplog.at_level(logging.WARNING):
        assert run("link", "order:1", ids[0], "--store", sqlite_url).exit_code == 0
    assert "not sealed" in caplog.text
    assert len(json_lines(run("trace", "order:1", "--json", "--store", sqlite_url), "trace")) == 1


def test_the_user_is_named_as_the_system_does() -> None:
    from recorder.api.acts import who

    assert who()
    assert SystemClock().new_id()


def test_a_fact_that_is_given_twice_is_refused_and_nothing_is_linked(sqlite_url: str) -> None:
    ids, _ = traded(founded(sqlite_url))
    done = run("link", "order:778", ids[0], "--fact", "a=1", "--fact", "a=2", "--store", sqlite_url)
    assert "the fact 'a' is given twice" in told(done, 2)
    assert run("trace", "order:778", "--store", sqlite_url).exit_code == 1


@pytest.mark.parametrize("which", ["the first", "the one that the order rests on", "all of it"])
def test_what_was_erased_is_shown_as_erased_on_the_way_to_an_order(which: str, store_url: str, tmp_path: Path) -> None:
    ids, _ = traded(founded(store_url))
    named = {"the first": ids[0], "the one that the order rests on": ids[1], "all of it": "desk"}[which]
    result = run("erase", named, "--ground", "art. 17", "--yes", "--store", store_url)
    assert result.exit_code == 0, result.stderr
    gone = ids if named == "desk" else [named]
    (found,) = json_lines(run("trace", "order:12345", "--json", "--store", store_url), "trace")
    assert [step["exchange"] for step in found["steps"]] == ids
    assert {step["exchange"]: step["erased"]["ground"] for step in found["steps"] if "erased" in step} == dict.fromkeys(
        gone, "art. 17"
    )
    assert ("erased" in found) == (ids[1] in gone)  # what it led to is erased with it
    assert "facts" not in found or ids[1] not in gone
    shown = run("trace", "order:12345", "--store", store_url).stdout
    assert shown.count("art. 17") == len(gone) + (ids[1] in gone)
    assert run("trace", "order:1234", "--store", store_url).exit_code == 1  # what it named is not told
    path = tmp_path / "evidence.zip"
    made = run("bundle", "--order", "12345", "-o", str(path), "--store", store_url)
    assert made.exit_code == 0, made.stderr
    told_of = json.loads(run("verify", "--bundle", str(path), "--json").stdout)
    assert told_of["findings"] == []
    assert [one["id"] for one in told_of["exchanges"]] == ids
    assert [one["id"] for one in told_of["exchanges"] if "erased" in one] == gone
    other = repacked(path, tmp_path / "other.zip", {}, lambda told: told["selection"]["link"].update(id="12346"))
    found = json.loads(run("verify", "--bundle", str(other), "--json").stdout)["findings"]
    assert ("link", "selection") in {(one["kind"], one["field"]) for one in found}


def test_a_bundle_of_a_conversation_holds_what_was_erased_of_it(store_url: str, tmp_path: Path) -> None:
    ids, _ = traded(founded(store_url))
    assert run("erase", ids[0], "--ground", "art. 17", "--yes", "--store", store_url).exit_code == 0
    path = tmp_path / "evidence.zip"
    made = run("bundle", "--conversation", "desk", "-o", str(path), "--store", store_url)
    assert made.exit_code == 0, made.stderr
    told_of = json.loads(run("verify", "--bundle", str(path), "--json").stdout)
    assert told_of["findings"] == []
    assert len(told_of["exchanges"]) == 3
    assert [one["id"] for one in told_of["exchanges"] if "erased" in one] == ids[:1]


def test_a_conversation_that_goes_by_what_it_repeats_keeps_its_erased_exchanges(store_url: str) -> None:
    said = [{"role": "user", "content": "Buy or hold?"}]
    ids = []
    with serve(Script(chunks=3)) as server, Recorder(founded(store_url)) as recorder:
        session = recorder.mount(requests.Session())
        for question in ("How much?", "When?", "At what price?"):
            body = {"model": "m", "stream": True, "messages": said}
            response = session.post(server.url, json=body, stream=True, timeout=30)
            assert response.content
            ids.append(recorder.exchange(response) or "")
            said = [*said, {"role": "assistant", "content": Script(chunks=3).text(said[-1]["content"])}]
            said.append({"role": "user", "content": question})
        recorder.link(kind="order", id="1", exchange=response)
    for number in (1, 0):
        assert run("erase", ids[number], "--ground", "art. 17", "--yes", "--store", store_url).exit_code == 0
        (found,) = json_lines(run("trace", "order:1", "--json", "--store", store_url), "trace")
        assert [step["exchange"] for step in found["steps"]] == ids
        assert [step["exchange"] for step in found["steps"] if "erased" in step] == ids[number:2]
