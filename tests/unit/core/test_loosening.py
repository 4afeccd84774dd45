"""Requests by rules: what matches, what differs, and that nothing else changes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder import ConfigurationError, Match
from recorder.core.exchange import Request
from recorder.core.loosening import Loosening
from recorder.core.match_rules import KINDS
from recorder.core.matching import differences, match_key

MARK = "~redacted~key~0123456789abcdef~"
URL = "http://h/v1"
A, B = "9b2d1c1e-7f7e-4a5e-9c56-0a4a0a0a0a0a", "c0ffee00-1111-4222-8333-123456789abc"

leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
)
bodies = values.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=12)
requests = st.builds(Request, st.sampled_from(["POST", "get"]), st.sampled_from([URL, f"{URL}?key=1"]), payload=bodies)
pointers = st.lists(st.sampled_from(["a", "b", "c", "0", "1", "*"]), min_size=1, max_size=3).map(
    lambda steps: "/" + "/".join(steps)
)
rules = st.builds(
    Match, ignore=st.lists(pointers, max_size=2), normalise=st.lists(st.sampled_from(KINDS)), headers=st.just(("x-a",))
)


def asked(value: Any, url: str = URL, **headers: str) -> Request:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Request("POST", url, tuple((name.replace("_", "-"), text) for name, text in headers.items()), body)


def matches(match: Match, one: Request, other: Request, places: tuple[str, ...] = ()) -> bool:
    loosening = Loosening(match)
    same = loosening.key(one, places) == loosening.key(other, places)
    assert same == (not loosening.differing_from(other, places)(one, places))
    return same


def differing(match: Match, one: Request, other: Request, hidden: tuple[str, ...] = ()) -> list[str]:
    return Loosening(match).differing_from(other, hidden)(one, ())


def strictly(request: Request) -> bytes:
    return match_key(request.method, request.url, request.payload)


@settings(deadline=None)
@given(requests, requests)
def test_rules_that_only_ask_for_a_header_that_neither_has_are_strict(one: Request, other: Request) -> None:
    loosening = Loosening(Match(headers=("x-absent",)))
    same = loosening.key(one, ()) == loosening.key(other, ())
    assert same == (strictly(one) == strictly(other))
    left, right = ((each.method, each.url, each.payload) for each in (one, other))
    assert bool(loosening.differing_from(other)(one, ())) == bool(differences(left, right))


@settings(deadline=None)
@given(requests, requests, rules)
def test_rules_never_part_what_strictly_matches_and_differences_are_told_where_keys_differ(
    one: Request, other: Request, match: Match
) -> None:
    loosening = Loosening(match)
    same = loosening.key(one, ()) == loosening.key(other, ())
    if strictly(one) == strictly(other):
        assert same
    if same:
        assert loosening.differing_from(other)(one, ()) == []
    assert (strictly(replace(one, url="http://h/v2")) == strictly(one)) is False
    assert loosening.key(replace(one, url="http://h/v2"), ()) != loosening.key(one, ())


@pytest.mark.parametrize(
    ("pointer", "one", "other", "same"),
    [
        (
            "/metadata/request_id",
            {"a": 1, "metadata": {"request_id": 1}},
            {"a": 1, "metadata": {"request_id": [2]}},
            True,
        ),
        ("/metadata/request_id", {"a": 1, "metadata": {}}, {"a": 1, "metadata": {"request_id": 2}}, True),
        ("/metadata/request_id", {"a": 1}, {"a": 1, "metadata": {"request_id": 2}}, False),
        (
            "/metadata/request_id",
            {"metadata": {"request_id": 1, "x": 1}},
            {"metadata": {"request_id": 1, "x": 2}},
            False,
        ),
        ("/messages/*/at", {"messages": [{"at": 1}, {"c": 1}]}, {"messages": [{"at": 2}, {"c": 1, "at": 3}]}, True),
        ("/messages/*/at", {"messages": [{"at": 1}]}, {"messages": [{"at": 1}, {"at": 1}]}, False),
        ("/messages/0", {"messages": ["x", "y"]}, {"messages": ["z", "y"]}, True),
        ("/messages/0", {"messages": ["x", "y"]}, {"messages": ["y"]}, False),
        ("/messages/1", {"messages": ["x", "y"]}, {"messages": ["x"]}, True),
        ("/messages/1", {"messages": ["x", "y", "z"]}, {"messages": ["x", "z"]}, False),
        ("/messages/*", {"messages": ["x", "y"]}, {"messages": []}, True),
        ("/messages/00", {"messages": ["x"]}, {"messages": ["y"]}, False),
        ("/messages/" + "9" * 5000, {"messages": ["x"]}, {"messages": ["y"]}, False),
        ("/a~1b/~0", {"a/b": {"~": 1}}, {"a/b": {"~": 2}}, True),
        ("/a", {"a": 1}, [], False),
        ("/*", {"a": 1}, {}, True),
        ("/*", {"a": 1}, [], False),
    ],
)
def test_what_is_ignored_is_no_difference_and_everything_else_is(
    pointer: str, one: Any, other: Any, same: bool
) -> None:
    assert matches(Match(ignore=(pointer,)), asked(one), asked(other)) is same


def test_the_order_of_pointers_does_not_count() -> None:
    one, other = asked([1, 2, 3]), asked([1])
    assert matches(Match(ignore=("/1", "/2")), one, other)
    assert Loosening(Match(ignore=("/2", "/1"))).key(one, ()) == Loosening(Match(ignore=("/1", "/2"))).key(one, ())


def test_a_literal_that_looks_like_what_is_ignored_is_none() -> None:
    assert not matches(Match(ignore=("/l/0",)), asked({"l": [1, ""]}), asked({"l": [1]}))
    assert not matches(Match(ignore=("/l/0",)), asked({"l": [1, 2]}), asked({"l": [1, ""]}))


def test_the_url_and_the_method_are_strict_whatever_is_normalised() -> None:
    match = Match(normalise=KINDS)
    assert not matches(match, asked({}, f"{URL}/{A}"), asked({}, f"{URL}/{B}"))
    assert not matches(match, asked({}, f"{URL}?api-version=2024-10-21"), asked({}, f"{URL}?api-version=2024-12-01"))
    assert not matches(match, asked({}), replace(asked({}), method="PUT"))
    assert matches(match, asked({}), replace(asked({}), method="post"))


def test_a_payload_that_is_no_json_is_normalised_as_a_text() -> None:
    assert matches(Match(normalise=("ids",)), asked(f"id={A}&x=1".encode()), asked(f"id={B}&x=1".encode()))
    assert not matches(Match(normalise=("ids",)), asked(f"id={A}&x=1".encode()), asked(f"id={B}&x=2".encode()))
    assert not matches(Match(normalise=("ids",)), asked(b"\xff" + A.encode()), asked(b"\xff" + B.encode()))
    assert not matches(Match(normalise=("ids",)), asked(b'"a"'), asked(b"[]"))


def test_headers_that_count_have_to_be_equal() -> None:
    match = Match(headers=("X-Tenant",))
    assert matches(match, asked({}, x_tenant="a", other="1"), asked({}, X_Tenant="a", other="2"))
    assert not matches(match, asked({}, x_tenant="a"), asked({}, x_tenant="b"))
    assert not matches(match, asked({}, x_tenant="a"), asked({}))
    twice = Request("POST", URL, (("x-tenant", "a"), ("X-Tenant", "b")), b"{}")
    assert matches(match, twice, asked({}, x_tenant="a, b"))
    assert differing(match, asked({}, x_tenant="a"), asked({})) == ['header x-tenant: "a" != (absent)']
    assert differing(Match(normalise=("ids",)), asked({}, x_tenant="a"), asked({}, x_tenant="b")) == []


def test_a_redacted_header_equals_any_value_of_it() -> None:
    match = Match(headers=("x-tenant", "authorization"))
    places = ("header:x-tenant", "header:authorization")
    recorded = asked({}, x_tenant=MARK, authorization=f"Bearer {MARK}")
    assert matches(match, recorded, asked({}, x_tenant="live", authorization="Basic live"), places)
    assert not matches(match, recorded, asked({}, authorization="Basic live"), places)
    assert [place for place in (*places, "header:cookie", "body:/a", "url:a") if Loosening(match).counts(place)] == [
        *places,
        "body:/a",
        "url:a",
    ]
    assert differing(match, asked({}, x_tenant="a"), asked({}, x_tenant="SECRET"), places) == [
        'header x-tenant: "a" != ~redacted~'
    ]


def test_what_the_recording_redacted_equals_anything_under_rules_too() -> None:
    match, places = Match(ignore=("/x",), normalise=KINDS), ("body:/key", "url:account")
    recorded = asked({"key": MARK, "id": A, "x": 1}, f"{URL}?account={MARK}")
    assert matches(match, recorded, asked({"key": B, "id": B}, f"{URL}?account=live"), places)
    assert not matches(match, recorded, asked({"id": B}, f"{URL}?account=live"), places)
    assert not matches(match, recorded, asked({"key": B, "id": B}, f"{URL}?account=live&more=1"), places)


def test_a_marker_is_never_taken_for_something_to_normalise() -> None:
    match = Match(normalise=KINDS)
    assert matches(match, asked({"a": f"of {MARK}", "b": A}), asked({"a": f"of {MARK[:-17]}fedcba9876543210~", "b": B}))


def test_differences_show_what_is_compared() -> None:
    match = Match(ignore=("/at",), normalise=("ids", "dates"))
    one = asked({"at": 1, "text": f"{A} on 2026-11-29: buy", "same": f"{A}"})
    other = asked({"at": 2, "text": f"{B} on 2026-11-30: sell", "same": f"{B}"})
    assert differing(match, one, other) == ['body.text: "<id 1> on <date 1>: buy" != "<id 1> on <date 1>: sell"']
    swapped = asked({"at": 2, "text": f"{B} on 2026-11-30: buy", "same": f"{A}"})
    assert differing(match, one, swapped) == ['body.text: "<id 1> on <date 1>: buy" != "<id 2> on <date 1>: buy"']


@pytest.mark.parametrize("depth", [200, 500, 900, 5000])
def test_what_is_nested_too_deeply_is_compared_as_it_is(depth: int) -> None:
    deep = b'{"a":' * depth + b"1" + b"}" * depth
    match = Match(ignore=("/b",), normalise=KINDS)
    assert matches(match, asked(deep), asked(deep))
    assert not matches(match, asked(deep), asked(deep.replace(b"1", b"2")))


def lower(request: Request) -> Request:
    return replace(request, payload=request.payload.lower())


def test_a_callable_gives_what_is_compared() -> None:
    match = Match(custom=lower)
    assert matches(match, asked({"a": "BUY"}), asked({"a": "buy"}))
    assert not matches(match, asked({"a": "BUY"}), asked({"a": "sell"}))
    assert differing(match, asked({"a": "BUY"}), asked({"a": "Sell"})) == ['body.a: "buy" != "sell"']
    both = Match(custom=lower, ignore=("/id",))
    assert matches(both, asked({"ID": 1, "a": "A"}), asked({"Id": 2, "a": "a"}))


def test_a_callable_may_change_method_and_url_and_count_headers() -> None:
    def anywhere(request: Request) -> Request:
        return replace(request, method="ANY", url="http://anywhere/", headers=(("x-a", "1"),))

    match = Match(custom=anywhere, headers=("x-a",))
    assert matches(match, asked({}), Request("PUT", "http://elsewhere/", (("x-a", "2"),), b"{}"))
    assert not matches(match, asked({}), asked([]))


def test_a_callable_sees_no_secret_and_moves_none_into_a_message() -> None:
    seen = []

    def flat(request: Request) -> Request:
        seen.append(request)
        return replace(request, payload=json.dumps({"said": str(sorted(request.json.items()))}).encode())

    loosening = Loosening(Match(custom=flat))
    places = ("body:/password", "url:account", "header:x-tenant")
    live = asked({"password": "SECRET", "a": 2}, "http://user:SECRET@h/?account=SECRET", x_tenant="SECRET")
    recorded = asked({"password": MARK, "a": 2}, f"http://h/?account={MARK}", x_tenant=MARK)
    assert loosening.key(live, places) == loosening.key(recorded, places)
    assert "SECRET" not in str(seen)
    (told,) = loosening.differing_from(asked({"password": "SECRET", "a": 2}), places)(
        asked({"password": "x", "a": 1}), ()
    )
    assert "SECRET" not in told
    assert "('a', 1)" in told
    nested = asked({"more": {"password": "SECRET"}, "a": 2})
    assert "SECRET" not in str(loosening.differing_from(nested, places)(asked({"a": 1}), ()))


@pytest.mark.parametrize(
    "returned",
    [None, b"{}", {"payload": b""}, replace(asked({}), payload="{}"), replace(asked({}), headers=[("a", "b")])],
)
def test_a_callable_that_returns_something_else_is_told_by_one_line(returned: Any) -> None:
    match = Match(custom=lambda request: returned)
    with pytest.raises(
        ConfigurationError, match=r"the matching rule custom returned no Request for POST http://h/v1:"
    ) as told:
        Loosening(match).key(asked({}, f"{URL};account=SECRET?account=SECRET"), ())
    assert "SECRET" not in str(told.value)


def test_a_callable_that_fails_is_told_by_one_line() -> None:
    def fails(request: Request) -> Request:
        raise KeyError("SECRET")

    with pytest.raises(ConfigurationError, match=r"custom failed with KeyError on POST http://h/v1: mend it") as told:
        Loosening(Match(custom=fails)).key(asked({}), ())
    assert "SECRET" not in str(told.value)
    assert isinstance(told.value.__cause__, KeyError)


def test_a_callable_that_is_not_there_is_told_before_anything_is_compared() -> None:
    with pytest.raises(ConfigurationError, match="names no function"):
        Loosening(Match(custom=f"{__name__}:gone"))
