"""Which recording answers by rules: as a plain search through all of them would find it, and never another."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder import CassetteExhausted, ConfigurationError, Match, NoMatchingExchange
from recorder.core.events import Event
from recorder.core.exchange import Request
from recorder.core.loosening import Loosening
from recorder.core.match_rules import KINDS
from recorder.core.matching import match_key
from recorder.replay.answers import Answers
from recorder.replay.index import Entry
from tests.building import ExchangeBuilder

URL = "http://h/v1"
MARK = "~redacted~key~0123456789abcdef~"
UUIDS = [f"9b2d1c1e-7f7e-4a5e-9c56-0a4a0a0a0a0{digit}" for digit in range(4)]

payloads = st.fixed_dictionaries(
    {"id": st.sampled_from(UUIDS), "prompt": st.sampled_from("ab")}, optional={"at": st.integers(0, 1)}
)
made = st.builds(
    lambda payload, url, tenant: Request("POST", url, (("x-tenant", tenant),), json.dumps(payload).encode()),
    payloads,
    st.sampled_from([URL, f"{URL}?key=1"]),
    st.sampled_from("xy"),
)
redacted = st.sampled_from([(), (), ("body:/prompt",), ("header:x-tenant",), ("header:cookie",)])


def without_at(request: Request) -> Request:
    value = request.json
    value.pop("at", None)
    return replace(request, payload=json.dumps(value).encode())


matches = st.sampled_from(
    [
        Match(),
        Match(normalise=("ids",)),
        Match(ignore=("/id", "/at")),
        Match(ignore=("/at",), headers=("x-tenant",)),
        Match(custom=without_at),
        Match(custom=without_at, normalise=("ids",), headers=("x-tenant",)),
    ]
)


def answers(recorded: list[tuple[Request, tuple[str, ...]]], match: Match, reads: list[bytes] | None = None) -> Answers:
    events: dict[bytes, list[Event]] = {}
    requests: dict[bytes, Request] = {}
    entries = []
    for number, (request, places) in enumerate(recorded):
        builder = (
            ExchangeBuilder(number + 1).request(request.payload).response().chunks(b"answer %d." % number).completed()
        )
        stream = builder.opened.stream
        events[stream], requests[stream] = builder.events, replace(request, redacted=places)
        key = match_key(request.method, request.url, request.payload, places)
        entries.append(Entry(stream, key, places, request.method, request.url))

    def read(exchange: bytes) -> Request:
        if reads is not None:
            reads.append(exchange)
        return requests[exchange]

    return Answers(entries, events.__getitem__, read, match)


def got(answering: Answers, request: Request) -> int | None:
    """Return the number of the recording that answers; None where none does."""
    try:
        tape = answering.answer(request.method, request.url, request.payload, request.headers).tape
    except NoMatchingExchange:
        return None
    return int(b"".join(read.data for read in tape.reads).split(b"answer ")[1].split(b".")[0])


class Plain:
    """Answers as a plain search finds them."""

    def __init__(self, recorded: list[tuple[Request, tuple[str, ...]]], match: Match) -> None:
        self.recorded = recorded
        self.match = match
        self.left = list(range(len(recorded)))

    def matches(self, number: int, request: Request) -> bool:
        one, places = self.recorded[number]
        if self.match.is_strict:
            return self.strictly(number, request)
        loosening = Loosening(self.match)
        places = tuple(filter(loosening.counts, places))
        return loosening.key(one, places) == loosening.key(request, places)

    def strictly(self, number: int, request: Request) -> bool:
        one, places = self.recorded[number]
        keys = [match_key(each.method, each.url, each.payload, places) for each in (one, request)]
        return keys[0] == keys[1]

    def got(self, request: Request) -> int | None:
        found = [number for number in range(len(self.recorded)) if self.matches(number, request)]
        left = [number for number in found if number in self.left]
        if not left:
            exact = [number for number in found if self.strictly(number, request)]
            return max(exact or found, default=None) if self.match.allow_repeats else None
        chosen = next((number for number in left if self.strictly(number, request)), left[0])
        self.left.remove(chosen)
        return chosen


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(made, redacted), max_size=6), st.lists(made, max_size=8), matches, st.booleans())
def test_answers_are_those_that_a_plain_search_finds(
    recorded: list[tuple[Request, tuple[str, ...]]], asked: list[Request], match: Match, repeats: bool
) -> None:
    match = replace(match, allow_repeats=repeats)
    ours, plain = answers(recorded, match), Plain(recorded, match)
    for request in asked:
        assert got(ours, request) == plain.got(request)
    assert len(ours.unplayed) == len(plain.left)


@settings(deadline=None)
@given(st.lists(st.tuples(made, redacted), max_size=5), st.lists(made, max_size=5), matches)
def test_everything_is_answered_again_once_it_is_rewound(
    recorded: list[tuple[Request, tuple[str, ...]]], asked: list[Request], match: Match
) -> None:
    ours = answers(recorded, match)
    found = []
    for _ in range(2):
        found.append([got(ours, request) for request in asked])
        ours.rewind()
        assert len(ours.unplayed) == len(recorded)
    assert found[0] == found[1]
    for request, number in zip(asked, found[0], strict=True):
        what = request.method, request.url, request.payload, request.headers
        assert ours.ever(*what) == ours.left(*what)
        assert ours.ever(*what) or number is None


def test_what_is_known_is_no_miss_where_it_is_not() -> None:
    ours = answers([(ask({"id": UUIDS[0]}), ())], Match(normalise=("ids",)))
    request = ask({"id": UUIDS[1]})
    what = request.method, request.url, request.payload
    assert (ours.ever(*what), ours.left(*what)) == (True, True)
    assert ours.known(*what) is not None
    assert (ours.ever(*what), ours.left(*what)) == (True, False)
    assert ours.known(*what) is None
    assert ours.misses == ()


def ask(payload: dict[str, Any], **headers: str) -> Request:
    return Request(
        "POST",
        URL,
        tuple((name.replace("_", "-"), value) for name, value in headers.items()),
        json.dumps(payload).encode(),
    )


def test_what_strictly_matches_is_found_first_and_reads_nothing() -> None:
    reads: list[bytes] = []
    ours = answers([(ask({"id": each}), ()) for each in UUIDS], Match(normalise=("ids",)), reads)
    assert got(ours, ask({"id": UUIDS[2]})) == 2
    assert reads == []
    assert got(ours, ask({"id": "c0ffee00-1111-4222-8333-123456789abc"})) == 0
    assert len(reads) == 4
    assert got(ours, ask({"id": UUIDS[2]})) == 1
    assert len(reads) == 4


def test_only_recordings_of_the_url_are_read() -> None:
    reads: list[bytes] = []
    recorded = [(replace(ask({"id": UUIDS[0]}), url=f"{URL}/{number}"), ()) for number in range(5)]
    ours = answers(recorded, Match(normalise=("ids",)), reads)
    assert got(ours, replace(ask({"id": UUIDS[1]}), url=f"{URL}/3")) == 3
    assert len(reads) == 1
    assert got(ours, replace(ask({"id": UUIDS[1]}), url=f"{URL}/9")) is None


def test_a_reading_that_fails_is_read_again() -> None:
    broken = [True]
    entry = Entry(bytes(16), bytes(32), (), "POST", URL)

    def read(exchange: bytes) -> Request:
        if broken:
            raise OSError
        return ask({"id": UUIDS[0]})

    ours = Answers([entry], lambda _: (), read, Match(normalise=("ids",)))
    with pytest.raises(OSError):
        ours.answer("POST", URL, ask({"id": UUIDS[1]}).payload)
    broken.clear()
    assert ours.answer("POST", URL, ask({"id": UUIDS[1]}).payload).exchange == bytes(16)


def test_a_miss_says_by_which_rules_and_tells_no_difference_that_they_ignore() -> None:
    ours = answers([(ask({"id": UUIDS[0], "at": 1, "prompt": "a"}), ())], Match(ignore=("/at",), normalise=("ids",)))
    with pytest.raises(NoMatchingExchange) as missed:
        ours.answer("POST", URL, ask({"id": UUIDS[1], "at": 2, "prompt": "b"}).payload)
    assert missed.value.differences == ('body.prompt: "a" != "b"',)
    assert "was never recorded (by the rules: ignore /at; normalise ids); the nearest recording is" in str(missed.value)


def test_an_exhausted_recording_says_by_which_rules() -> None:
    ours = answers([(ask({"id": UUIDS[0]}), ())] * 2, Match(normalise=("ids",)))
    assert [got(ours, ask({"id": each})) for each in UUIDS[1:3]] == [0, 1]
    with pytest.raises(
        CassetteExhausted, match=r"was recorded 2 times and is asked for once more \(by the rules: normal"
    ):
        ours.answer("POST", URL, ask({"id": UUIDS[3]}).payload)


def test_a_miss_of_a_strict_player_says_nothing_of_rules() -> None:
    for match in (Match(), Match(allow_repeats=True)):
        with pytest.raises(NoMatchingExchange) as missed:
            answers([(ask({"a": 1}), ())], match).answer("POST", URL, b"{}")
        assert ("rules" in str(missed.value)) is match.allow_repeats


def test_a_secret_that_only_another_recording_has_redacted_is_in_no_message() -> None:
    def moves(request: Request) -> Request:
        return replace(request, url=f"{URL}?told=1", payload=json.dumps({"said": request.payload.decode()}).encode())

    redacting = (ask({"password": MARK, "a": 1}, x_tenant=MARK), ("body:/password", "header:x-tenant", "url:account"))
    plain = (ask({"password": "x", "a": 1}, x_tenant="y"), ())
    live = ask({"password": "SECRET", "a": 2, "deep": [{"password": "SECRET"}]}, x_tenant="SECRET")
    live = replace(live, url=f"{URL}?account=SECRET")
    for match in (
        Match(normalise=("ids",)),
        Match(headers=("x-tenant",)),
        Match(custom=moves),
        Match(custom=moves, headers=("x-tenant",)),
    ):
        ours = answers([redacting, plain], match)
        with pytest.raises(NoMatchingExchange) as missed:
            ours.answer(live.method, live.url, live.payload, live.headers)
        assert "SECRET" not in str(missed.value) + missed.value.request + "".join(missed.value.differences)


SECRET_PLACES = ("body:/password", "body:/user/token", "url:account", "header:x-desk")
kinds_of_payload = st.sampled_from(
    [
        b'{"password":"SECRET","user":{"token":"SECRET"},"a":%d}',
        b'{"user":[{"token":["SECRET"]}],"deep":{"password":{"x":"SECRET"}},"a":%d}',
        b"password=SECRET&token=SECRET&a=%d",
        b'{"password":"SECRET","a":%d',
        b"\xffpassword: SECRET %d",
    ]
)


def in_one_text(request: Request) -> Request:
    return replace(
        request,
        url=f"{URL}/{request.url.partition('account=')[2]}",
        payload=json.dumps({"said": request.payload.decode("latin-1"), "of": dict(request.headers)}).encode(),
    )


def as_text(request: Request) -> Request:
    return replace(request, payload=b"of " + request.payload + str(request.headers).encode())


def fails_on_masks(request: Request) -> Request:
    if "redacted" in request.url or b"redacted" in request.payload:
        raise ValueError(request)
    return request


@settings(max_examples=150, deadline=None)
@given(
    st.permutations(SECRET_PLACES),
    st.integers(0, 4),
    kinds_of_payload,
    st.sampled_from([None, in_one_text, as_text, fails_on_masks]),
    st.sampled_from([(), ("x-desk", "x-tenant")]),
    st.booleans(),
)
def test_no_secret_is_in_any_message(
    places: list[str], cut: int, payload: bytes, custom: Any, headers: tuple[str, ...], normalise: bool
) -> None:
    # Two recordings, each of which has redacted some of the places, as far as they are in it.
    marked = json.dumps({"password": MARK, "user": {"token": MARK}, "a": 1}).encode()
    plain = json.dumps({"password": "x", "user": {"token": "x"}, "a": 1}).encode()
    recorded = [
        (Request("POST", f"{URL}?account={MARK}", (("x-desk", MARK),), marked), tuple(places[:cut])),
        (Request("POST", f"{URL}?account={MARK}", (("x-desk", MARK),), marked), tuple(places[cut:])),
        (Request("POST", f"{URL}?account=x", (("x-desk", "x"),), plain), ()),
    ]
    match = Match(headers=headers, custom=custom, ignore=("/b",), normalise=KINDS if normalise else ())
    ours = answers(recorded, match)
    live = Request("POST", f"{URL}?account=SECRET", (("x-desk", "SECRET"), ("x-tenant", "t")), payload % 2)
    with pytest.raises((NoMatchingExchange, ConfigurationError)) as missed:
        ours.answer(live.method, live.url, live.payload, live.headers)
    told = [str(missed.value), *map(str, ours.misses), *map(str, ours.refused)]
    told += [getattr(missed.value, "request", ""), *getattr(missed.value, "differences", ())]
    assert "SECRET" not in "".join(told)


def test_a_miss_stays_one_where_its_differences_cannot_be_told() -> None:
    def takes_no_masks(request: Request) -> Request:
        if b"redacted" in request.payload:
            raise ValueError(request)
        return request

    ours = answers([(ask({"a": 1}), ("body:/other",))], Match(custom=takes_no_masks))
    with pytest.raises(
        NoMatchingExchange, match="what differs cannot be told: the matching rule custom failed"
    ) as missed:
        ours.answer("POST", URL, ask({"deep": {"other": "SECRET"}}).payload)
    assert ours.misses == (missed.value,)
    assert ours.refused == ()
    assert "SECRET" not in str(missed.value)


def test_repeats_never_give_a_request_that_was_broken_off_again() -> None:
    builder = ExchangeBuilder(1).request(b"{}").event("request_failed", {"phase": "connect"})
    stream = builder.opened.stream
    entry = Entry(stream, match_key("POST", URL, b"{}"), (), "POST", URL)
    ours = Answers([entry], lambda _: builder.events, lambda _: ask({}), Match(allow_repeats=True))
    assert ours.answer("POST", URL, b"{}").tape.end == "request_failed"
    with pytest.raises(CassetteExhausted):
        ours.answer("POST", URL, b"{}")


def test_a_callable_that_fails_is_remembered() -> None:
    def fails(request: Request) -> Request:
        raise KeyError

    ours = answers([(ask({"a": 1}), ())], Match(custom=fails))
    assert ours.refusal("POST", URL) is None
    with pytest.raises(ConfigurationError, match="custom failed with KeyError"):
        ours.answer("POST", URL, b"{}")
    (refused,) = ours.refused
    assert isinstance(refused, ConfigurationError)


@pytest.mark.parametrize("match", [Match(), Match(normalise=("ids",)), Match(headers=("x-tenant",))], ids=str)
def test_identical_requests_at_one_time_get_an_answer_each(match: Match) -> None:
    count = 32
    ours = answers([(ask({"id": UUIDS[0]}), ())] * count, match)
    barrier = threading.Barrier(count)

    def once(number: int) -> int | None:
        barrier.wait(10)
        return got(ours, ask({"id": UUIDS[number % 2] if match.normalise else UUIDS[0]}))

    with ThreadPoolExecutor(count) as threads:
        assert sorted(threads.map(once, range(count)), key=str) == sorted(range(count), key=str)
    assert ours.unplayed == ()


def test_a_miss_names_the_recording_with_the_same_words_in_what_is_compared() -> None:
    asked = [("oil fell", "AAPL rose"), ("AAPL rose today", "oil")]
    ours = answers([(ask({"prompt": one, "at": at}), ()) for one, at in asked], Match(ignore=("/at",)))
    with pytest.raises(NoMatchingExchange) as missed:
        ours.answer("POST", URL, ask({"prompt": "AAPL rose", "at": "AAPL rose"}).payload)
    assert missed.value.differences == ('body.prompt: "AAPL rose today" != "AAPL rose"',)
