"""Which recording answers: the one for that request, each once, and a miss is never forgotten."""

from __future__ import annotations

import gc
import json

import pytest

from recorder.clock import id_text
from recorder.core.events import Event
from recorder.core.exchange import Request
from recorder.core.match_rules import Match
from recorder.core.matching import match_key
from recorder.core.redaction import Redacted, Redaction
from recorder.errors import CassetteExhausted, NoMatchingExchange
from recorder.replay.answers import Answers
from recorder.replay.index import Entry
from tests.building import ExchangeBuilder

URL = "http://h/v1"


def _answers(*payloads: bytes, places: tuple[str, ...] = (), url: str = URL) -> Answers:
    events: dict[bytes, list[Event]] = {}
    requests: dict[bytes, Request] = {}
    entries = []
    for number, payload in enumerate(payloads):
        builder = ExchangeBuilder(number + 1).request(payload).response().chunks(b"answer %d" % number).completed()
        stream = builder.opened.stream
        events[stream], requests[stream] = builder.events, Request("POST", url, payload=payload)
        entries.append(Entry(stream, match_key("POST", url, payload, places), places, "POST", url))
    return Answers(entries, events.__getitem__, requests.__getitem__)


def _got(answers: Answers, payload: bytes, url: str = URL) -> bytes:
    tape = answers.answer("POST", url, payload).tape
    return b"".join(read.data for read in tape.reads)


def test_the_nth_identical_request_gets_the_nth_answer_once() -> None:
    answers = _answers(b'{"a":1}', b'{"a":2}', b'{"a":1}')
    assert b"answer 0" in _got(answers, b'{"a":1}')
    assert len(answers.unplayed) == 2
    assert b"answer 2" in _got(answers, b'{ "a" : 1 }')
    assert b"answer 1" in _got(answers, b'{"a":2}')
    assert answers.unplayed == ()
    for payload, times in ((b'{"a":2}', "once"), (b'{"a":1}', "2 times")):
        with pytest.raises(CassetteExhausted, match=f"was recorded {times} and is asked for once more"):
            _got(answers, payload)
    assert [type(miss) for miss in answers.misses] == [CassetteExhausted] * 2


def test_of_recordings_that_redacted_different_places_the_earliest_answers_first() -> None:
    def entry(number: int, recorded: bytes, *places: str) -> Entry:
        return Entry(bytes([number]) * 16, match_key("POST", URL, recorded, places), places, "POST", URL)

    plain, masked = b'{"k":"v"}', b'{"k":"~redacted~key~0123456789abcdef~"}'
    entries = [
        entry(1, masked, "body:/k", "header:cookie"),
        entry(2, plain),
        entry(3, masked, "body:/k"),
        entry(4, plain),
    ]
    answers = Answers(entries, lambda _: (), lambda _: Request("POST", URL, payload=plain))
    assert [answers.answer("POST", URL, plain).exchange[0] for _ in entries] == [1, 2, 3, 4]
    with pytest.raises(CassetteExhausted, match="was recorded 4 times"):
        answers.answer("POST", URL, plain)


def test_an_index_holds_nothing_per_exchange_that_the_garbage_collector_visits() -> None:
    def held(count: int) -> int:
        entries = (Entry(number.to_bytes(16), number.to_bytes(32), (), "POST", URL) for number in range(count))
        gc.collect()
        before = len(gc.get_objects())
        answers = Answers(entries, lambda _: (), lambda _: Request("POST", URL))
        gc.collect()
        assert len(answers.unplayed) == count
        return len(gc.get_objects()) - before

    assert held(2000) - held(2) < 100


def test_a_miss_names_the_nearest_and_what_differs() -> None:
    answers = _answers(json.dumps({"m": "x", "n": [1, 2]}).encode(), json.dumps({"m": "x", "n": [1, 3]}).encode())
    with pytest.raises(NoMatchingExchange) as missed:
        _got(answers, json.dumps({"m": "x", "n": [1, 3], "t": 0}).encode())
    assert missed.value.differences == ("body.t: (absent) != 0",)
    assert missed.value.nearest[0] == answers.unplayed[1]
    assert missed.value.request == f"POST {URL}"
    assert answers.misses == (missed.value,)
    assert "which differs (recorded != asked) in body.t: (absent) != 0" in str(missed.value)


def test_many_differences_are_counted() -> None:
    answers = _answers(json.dumps(dict.fromkeys("abcdefgh", 1)).encode())
    with pytest.raises(NoMatchingExchange, match="; and 3 more"):
        _got(answers, json.dumps(dict.fromkeys("abcdefgh", 2)).encode())


def test_another_url_is_compared_with_all_and_nothing_recorded_says_so() -> None:
    with pytest.raises(NoMatchingExchange, match="url: http://h/v1 != http://h/v2"):
        _got(_answers(b"{}"), b"{}", "http://h/v2")
    with pytest.raises(NoMatchingExchange, match="the recording is empty"):
        _got(_answers(), b"{}")


def test_what_the_recording_redacted_does_not_have_to_be_known() -> None:
    recorded = b'{"key":"~redacted~key~0123456789abcdef~","a":1}'
    answers = _answers(recorded, places=("body:/key", "header:authorization"))
    assert b"answer 0" in _got(answers, b'{"key":"anything","a":1}')
    assert id_text(b"\0" * 16) not in answers.unplayed


def _recorded(*requests: tuple[str, str, bytes, tuple[str, ...]]) -> Answers:
    entries = [
        Entry(bytes([number]) * 16, match_key(method, url, payload, places), places, method, url)
        for number, (method, url, payload, places) in enumerate(requests)
    ]
    known = {
        entry.exchange: Request(method, url, payload=payload)
        for entry, (method, url, payload, _) in zip(entries, requests, strict=True)
    }
    return Answers(entries, lambda _: (), known.__getitem__)


def test_the_nearest_is_one_of_the_same_method_and_path_and_no_secret_is_told() -> None:
    marked = "~redacted~account~0123456789abcdef~"
    chat = f"http://h/chat?account={marked}"
    answers = _recorded(
        ("POST", chat, b'{"model":"m","temperature":0.1,"a":1,"b":1}', ("url:account",)),
        ("POST", chat, b'{"model":"m","temperature":0.1}', ("url:account",)),
        ("GET", chat, b'{"model":"m","temperature":0.2}', ("url:account",)),
        ("POST", "http://h/unrelated", b'{"model":"m","temperature":0.2}', ()),
    )
    with pytest.raises(NoMatchingExchange) as missed:
        answers.answer("POST", "http://h/chat?account=SECRET", b'{"model":"m","temperature":0.2}')
    assert missed.value.differences == ("body.temperature: 0.1 != 0.2",)
    assert missed.value.nearest[0] == id_text(bytes([1]) * 16)
    assert missed.value.request == "POST http://h/chat?account=~redacted~"
    assert "SECRET" not in str(missed.value)


def test_of_many_recordings_those_of_the_path_are_compared() -> None:
    others = [("POST", f"http://h/{number}", b"{}", ()) for number in range(100)]
    answers = _recorded(("POST", "http://other/chat", b'{"a":1,"b":[1]}', ()), *others)
    with pytest.raises(NoMatchingExchange) as missed:
        answers.answer("POST", "http://h/chat", b'{"a":1,"b":[2]}')
    assert id_text(bytes(16)) in missed.value.nearest


def test_of_prompts_that_differ_in_one_field_a_miss_names_the_one_with_the_same_words() -> None:
    prompts = ("What moved oil?", "How much does AAPL cost today?", "Sell all lots of TSLA.")
    answers = _answers(*(json.dumps({"prompt": prompt}).encode() for prompt in prompts))
    with pytest.raises(NoMatchingExchange) as missed:
        _got(answers, b'{"prompt": "how much did AAPL cost?"}')
    assert missed.value.nearest[0] == answers.unplayed[1]
    assert "AAPL cost today?" in missed.value.differences[0]


RATE = "http://h/rate"
KEY = b"k" * 32


def _rates(*recorded: tuple[str, bytes], rules: tuple[str, ...] = (), repeats: bool = False) -> Answers:
    """Answers from requests to GET URL, recorded with fingerprints by this machine's key and with these rules."""
    redaction, events, requests, entries = Redaction(KEY, rules), {}, {}, []
    for number, (url, payload) in enumerate(recorded):
        seen = Redacted()
        url, payload = redaction.url(url, seen), redaction.body(payload, seen)
        places = tuple(seen.places)
        builder = ExchangeBuilder(number + 1).request(payload).response().chunks(b"answer %d" % number).completed()
        stream = builder.opened.stream
        events[stream], requests[stream] = builder.events, Request("POST", url, payload=payload)
        entries.append(Entry(stream, match_key("POST", url, payload, places), places, "POST", url))
    return Answers(entries, events.__getitem__, requests.__getitem__, Match(allow_repeats=repeats), KEY)


def _asked(answers: Answers, url: str, payload: bytes = b"", key: bytes = KEY) -> int:
    """Ask as a live client does, redacted by the player; return which recording answered."""
    return int(_got(answers, payload, Redaction(key).url(url, Redacted())).split(b"answer ")[1][:1])


def test_of_recordings_that_differ_in_masked_values_the_one_with_the_fingerprints_of_the_request_answers() -> None:
    urls = [f"{RATE}?code=EUR", f"{RATE}?code=USD", f"{RATE}?code=EUR"]
    answers = _rates(*((url, b"") for url in urls))
    assert [_asked(answers, url) for url in (urls[1], urls[0], urls[0])] == [1, 0, 2]
    answers.rewind()
    assert [_asked(answers, f"{RATE}?code={code}") for code in ("USD", "EUR", "GBP")] == [1, 0, 2]


def test_a_machine_with_another_fingerprint_key_gets_them_in_the_order_in_which_they_were_recorded() -> None:
    answers = _rates((f"{RATE}?code=EUR", b""), (f"{RATE}?code=USD", b""))
    assert [_asked(answers, f"{RATE}?code={code}", key=b"of CI") for code in ("USD", "EUR")] == [0, 1]


@pytest.mark.parametrize("form", [b'{"account": "%s", "n": 1}', b"account=%s&n=1", b"\xff binary of %s"])
def test_masked_fields_of_payloads_are_told_apart_by_rules_that_only_the_recording_knew(form: bytes) -> None:
    answers = _rates(*((RATE, form % account) for account in (b"A-1", b"B-2")), rules=("body:account",))
    assert [_asked(answers, RATE, form % account) for account in (b"B-2", b"A-1")] == [1, 0]


def test_what_is_repeated_is_the_answer_with_the_fingerprints_of_the_request() -> None:
    answers = _rates(*((f"{RATE}?code={code}", b"") for code in ("EUR", "USD")), repeats=True)
    assert [_asked(answers, f"{RATE}?code={code}") for code in ("USD", "USD", "EUR", "USD")] == [1, 1, 0, 1]


@pytest.mark.parametrize("asked", [b"", b'{"a": 1}', b"a=1&b=2", b'"a"'])
def test_a_payload_that_was_masked_whole_equals_none_of_another_kind(asked: bytes) -> None:
    answers = _rates((RATE, b"plain text of A-1"), rules=("body:account",))
    with pytest.raises(NoMatchingExchange):
        _asked(answers, RATE, asked)
    assert _asked(answers, RATE, b"plain text of another") == 0
