"""In which order things were done, whatever the clocks said."""

from __future__ import annotations

import random

import pytest

from recorder.core.act_order import Act, ranks

A, B, C = (bytes([number]) * 16 for number in (1, 2, 3))


def ordered(acts: list[Act], leaves: dict[bytes, list[tuple[int, int]]] | None = None) -> list[tuple[bytes, int]]:
    """Return acts in their order.

    :param leaves: by journal: number of a leaf, and the length that it seals.
    """

    def leaf_of(journal: bytes, version: int) -> int | None:
        sealed = (leaves or {}).get(journal, [])
        return next((number for number, length in sealed if length >= version), None)

    placed = ranks(acts, leaf_of)
    return sorted(placed, key=lambda place: placed[place])


def test_within_a_journal_it_is_that_of_the_events_whatever_the_times_and_positions() -> None:
    acts = [Act(A, 2, 900, 7), Act(A, 3, 100, 5), Act(A, 4, 50)]
    for leaves in ({}, {A: [(0, 3)]}, {A: [(0, 2), (4, 4)]}):
        assert ordered(acts, leaves) == [(A, 2), (A, 3), (A, 4)]


def test_between_journals_the_store_counts_and_not_the_times() -> None:
    assert ordered([Act(A, 2, 900, 1), Act(B, 2, 100, 2)]) == [(A, 2), (B, 2)]


def test_leaves_count_for_more_than_positions_which_whoever_writes_the_store_can_change() -> None:
    acts = [Act(A, 2, 100, 9), Act(B, 2, 100, 3)]
    assert ordered(acts, {A: [(0, 2)], B: [(1, 2)]}) == [(A, 2), (B, 2)]
    assert ordered(acts, {A: [(0, 2)]}) == [(B, 2), (A, 2)], "one of them has no leaf"


def test_what_only_a_spool_has_comes_last_by_its_time() -> None:
    assert ordered([Act(A, 2, 300), Act(B, 2, 200), Act(C, 2, 900, 5)]) == [(C, 2), (B, 2), (A, 2)]


@pytest.mark.parametrize("seed", range(50))
def test_it_is_one_order_and_the_same_however_the_acts_come(seed: int) -> None:
    """Leaves, positions and times at random, which contradict each other."""
    chosen = random.Random(seed)
    acts = [
        Act(bytes([journal]) * 16, version, chosen.randrange(9), chosen.choice([None, chosen.randrange(50)]))
        for journal in range(6)
        for version in range(2, 5)
    ]
    leaves: dict[bytes, list[tuple[int, int]]] = {}
    for number in range(8):
        journal = bytes([chosen.randrange(6)]) * 16
        longest = max((length for _, length in leaves.get(journal, [])), default=0)
        leaves.setdefault(journal, []).append((number, longest + chosen.randrange(1, 3)))
    found = ordered(acts, leaves)
    chosen.shuffle(acts)
    assert ordered(acts, leaves) == found
    assert len(found) == len(acts)
    first = {
        (act.journal, act.version): next((n for n, size in leaves.get(act.journal, []) if size >= act.version), None)
        for act in acts
    }
    sealed = [place for place in found if first[place] is not None]
    assert sealed == sorted(sealed, key=lambda place: (first[place], place[1]))
    for journal in {act.journal for act in acts}:
        versions = [version for one, version in found if one == journal]
        assert versions == sorted(versions)
