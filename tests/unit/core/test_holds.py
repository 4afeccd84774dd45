"""What has to be kept, from the events that say so."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from recorder.core.events import Event, meta_text
from recorder.core.holds import DAY_NS, Keeping, rules_of
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


@pytest.mark.parametrize("kind", ["hold_placed", "hold_released", "retention_set"])
def test_what_cannot_be_read_is_not_passed_over(kind: str) -> None:
    with pytest.raises(CorruptRecording):
        rules_of([event(kind, 1, None)._replace(meta="[]")])
