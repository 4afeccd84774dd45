"""What has to be kept, from the events that say so."""

from __future__ import annotations

from itertools import permutations
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recorder.core import ed25519
from recorder.core.events import Event, meta_text
from recorder.core.holds import DAY_NS, Keeping, rules_of, signed_by
from recorder.core.notes import NoteKey
from recorder.core.signed_facts import signed_facts, signer_of
from recorder.errors import CorruptRecording

NOW = 1_790_000_000_000_000_000


def event(kind: str, at: int, facts: dict[str, Any] | None) -> Event:
    meta = None if facts is None else meta_text(facts)
    return Event(at.to_bytes(16), 2, kind, NOW + at, 0, b"i" * 16, 0, meta, None, b"")


def placed(hold: str, at: int = 1, **scope: Any) -> Event:
    return event("hold_placed", at, {"hold": hold, "ground": "g", "by": "b", **scope})


def test_the_scope_of_a_hold() -> None:
    kept = rules_of([placed("a", exchange="e"), placed("b", conversation="c"), placed("d", all=True)])
    keeps = {name: [hold.is_of(*asked) for asked in (("e", ()), ("f", ("c",)), ("f", ()))] for name, hold in held(kept)}
    assert keeps == {"a": [True, False, False], "b": [False, True, False], "d": [True, True, True]}


def held(kept: Keeping) -> list[tuple[str, Any]]:
    return list(kept.holds.items())


def test_a_hold_ends_by_its_release_and_by_its_time() -> None:
    events = [placed("a"), placed("b", all=True, until_ns=NOW + 10), event("hold_released", 5, {"hold": "a"})]
    for some in (events, events[::-1]):  # a release comes after what it releases, whatever the order seems to be
        kept = rules_of(some)
        assert [hold.id for hold in kept.in_force(NOW + 9)] == ["b"]
        assert kept.in_force(NOW + 10) == []


def test_a_hold_that_is_placed_again_after_its_release_is_in_force() -> None:
    kept = rules_of([placed("a", 1), event("hold_released", 2, {"hold": "a"}), placed("a", 3)])
    assert [hold.id for hold in kept.in_force(NOW)] == ["a"]


def test_the_last_retention_period_counts_and_that_of_a_conversation_goes_first() -> None:
    def days(at: int, days: int, **of: str) -> Event:
        return event("retention_set", at, {"days": days, "by": "b", **of})

    kept = rules_of([days(1, 30), days(2, 5, of="c"), days(3, 10), days(2, 7, of="d")])
    found = [kept.retention_of(homes) for homes in ((), ("x",), ("c",), ("c", "d"))]
    assert [one.days if one else None for one in found] == [10, 10, 5, 7]
    assert found[0] is not None
    assert found[0].until_ns(NOW) == NOW + 10 * DAY_NS
    assert Keeping().retention_of(("c",)) is None


def test_a_period_comes_after_the_one_that_it_replaces() -> None:
    first = event("retention_set", 1, {"days": 0, "by": "b"})
    second = event("retention_set", 2, {"days": 30, "by": "b", "replaces": str(UUID(bytes=first.stream))})
    for some in ([first, second], [second, first]):
        assert [one.days for one in rules_of(some).retention.values()] == [30]
    assert [one.days for one in rules_of([first]).retention.values()] == [0]


def signed(kind: str, at: int, facts: dict[str, Any], by: str = "s") -> Event:
    return event(kind, at, {**facts, "signature": f"{by} {kind} {sorted(map(str, facts.items()))}"})


def is_signed(one: Event) -> bool:
    return "signature" in one.facts


def in_every_order(*events: Event) -> list[Keeping]:
    return [rules_of(some, is_signed) for some in permutations(events)]


def test_what_nobody_signed_lifts_and_narrows_no_signed_hold() -> None:
    hold = {"hold": "a", "ground": "g", "by": "b", "all": True}
    forged = (
        placed("a", 2, exchange="x"),
        placed("a", 3, all=True, until_ns=1),
        event("hold_released", 4, {"hold": "a"}),
    )
    for kept in in_every_order(signed("hold_placed", 1, hold), *forged):
        assert [(one.scope, one.until_ns, one.signed) for one in kept.holds.values()] == [("all", None, True)]
    for kept in in_every_order(signed("hold_placed", 1, hold), signed("hold_released", 2, {"hold": "a"}), *forged):
        assert kept.holds == {}


def test_a_signed_hold_or_release_counts_once() -> None:
    hold = {"hold": "a", "ground": "g", "by": "b"}
    first, release = signed("hold_placed", 1, hold), signed("hold_released", 2, {"hold": "a"})
    assert rules_of([first, release, first], is_signed).holds == {}
    again = signed("hold_placed", 3, {**hold, "ground": "another"})
    assert list(rules_of([first, release, again, release], is_signed).holds) == ["a"]


def test_what_nobody_signed_keeps_until_anybody_releases_it() -> None:
    for release in (event("hold_released", 2, {"hold": "a"}), signed("hold_released", 2, {"hold": "a"})):
        for kept in in_every_order(placed("a"), release):
            assert kept.holds == {}


def period(days: int, at: int, by_key: bool = True, **of: str) -> Event:
    return (signed if by_key else event)("retention_set", at, {"days": days, "by": "b", **of})


def test_what_nobody_signed_replaces_no_signed_period() -> None:
    first = period(30, 1)
    replacing = period(0, 2, by_key=False, replaces=str(UUID(bytes=first.stream)))
    of_another = period(0, 3, by_key=False, of="c", replaces=str(UUID(bytes=first.stream)))
    for kept in in_every_order(first, replacing, of_another):
        assert [(one.days, one.signed) for one in kept.retention.values() if not one.of] == [(30, True)]


@pytest.mark.parametrize(
    ("everything", "of_c", "counts"),
    [
        ((30, True), (0, False), 30),
        ((30, True), (60, False), 60),
        ((30, True), (0, True), 0),
        ((30, False), (0, False), 0),
        ((30, False), (0, True), 0),
        (None, (5, False), 5),
        ((30, True), None, 30),
    ],
)
def test_a_period_of_a_conversation_that_nobody_signed_shortens_no_signed_one(
    everything: tuple[int, bool] | None, of_c: tuple[int, bool] | None, counts: int
) -> None:
    told = [] if everything is None else [period(everything[0], 1, everything[1])]
    told += [] if of_c is None else [period(of_c[0], 2, of_c[1], of="c")]
    kept = rules_of(told, is_signed)
    found = kept.retention_of(("c", "d"))
    assert found is not None
    assert found.days == counts
    least = kept.least_retention
    assert (None if least is None else least.days) == (None if everything is None else min(counts, everything[0]))


def test_of_the_conversations_of_an_exchange_one_that_is_signed_is_enough() -> None:
    kept = rules_of([period(30, 1), period(5, 2, of="c"), period(3, 3, by_key=False, of="d")], is_signed)
    found = [kept.retention_of(homes) for homes in (("c", "d"), ("c",), ("d",), ("e",))]
    assert [one.days for one in found if one is not None] == [5, 5, 30, 30]


def test_what_is_signed_counts_in_the_journal_that_it_names() -> None:
    private = Ed25519PrivateKey.generate()
    key = NoteKey("log", private.public_key().public_bytes_raw())
    journal = (1).to_bytes(16)
    told = {"hold": "a", "by": "b", "ground": "g", "journal": str(UUID(bytes=journal))}
    facts = signed_facts("hold_released", told, key, private.sign)
    counts = signed_by(lambda one: signer_of(one.type, one.facts, [key], ed25519.verify) is not None)
    assert counts(event("hold_released", 1, facts))
    assert not counts(event("hold_released", 2, facts))  # in another one
    assert not counts(event("hold_placed", 1, facts))
    assert not counts(event("hold_released", 1, {**facts, "hold": "c"}))
    assert not counts(event("hold_released", 1, told))


def without_effect(*events: Event) -> list[int]:
    return [int.from_bytes(one.stream) for one in rules_of(events, is_signed).without_effect]


def test_what_nobody_signed_of_a_signed_hold_is_told_whatever_the_order() -> None:
    hold, release = signed("hold_placed", 1, {"hold": "a", "ground": "g", "by": "b"}), {"hold": "a"}
    for kept in in_every_order(hold, event("hold_released", 2, release), placed("a", 3, exchange="x"), placed("c", 4)):
        assert {int.from_bytes(one.stream) for one in kept.without_effect} == {2, 3}
    honest = signed("hold_released", 5, release)
    for kept in in_every_order(hold, honest, event("hold_released", 2, release)):
        assert [int.from_bytes(one.stream) for one in kept.without_effect] == [2]
    assert without_effect(hold, honest, hold, honest) == [1, 5]  # written down once more
    assert without_effect(placed("a"), event("hold_released", 2, release), honest) == []  # it was lifted: by anybody


def test_a_period_that_a_signed_one_followed_counted_until_then_and_is_not_told() -> None:
    assert without_effect(period(5, 1, by_key=False), period(30, 2)) == []
    assert without_effect(period(5, 1, by_key=False, of="c"), period(30, 2)) == []
    assert without_effect(period(30, 1), period(5, 2, by_key=False), period(60, 3)) == [2]
    assert without_effect(period(30, 1), period(60, 2, by_key=False, of="c"), period(90, 3)) == []
    assert without_effect(period(30, 1), period(5, 2, by_key=False, of="c")) == [2]
    assert without_effect(period(30, 1), period(5, 2, by_key=False, of="c"), period(60, 3)) == [2]
    assert without_effect(period(30, 1), period(5, 2, by_key=False, of="c"), period(0, 3)) == []  # it has one now
    assert without_effect(period(30, 1), period(9, 2, of="c"), period(5, 3, by_key=False, of="c")) == [3]
    assert without_effect(period(30, 1, by_key=False), period(5, 2, by_key=False)) == []


@pytest.mark.parametrize("kind", ["hold_placed", "hold_released", "retention_set"])
def test_what_cannot_be_read_is_not_passed_over(kind: str) -> None:
    with pytest.raises(CorruptRecording):
        rules_of([event(kind, 1, None)._replace(meta="[]")])
