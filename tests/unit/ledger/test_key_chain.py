"""Which keys of a ledger count, until when, and where the way from one to the next forks."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recorder.core.events import Event, meta_text
from recorder.core.notes import Checkpoint, NoteKey
from recorder.core.signed_facts import signed_facts
from recorder.ledger.key_chain import ROTATED, KeyChain, chain_of, retired_by, rotated, successor
from recorder.ledger.keys import SigningKey
from tests.building import identity

ORIGIN = "example.test/log"


def key_of(number: int, origin: str = ORIGIN) -> SigningKey:
    private = Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)
    return SigningKey(NoteKey(origin, private.public_key().public_bytes_raw()), private.sign)


KEYS = [key_of(number) for number in range(1, 6)]
FIRST, SECOND, THIRD, OTHER, _ = KEYS
_NAMES = {key.public: number for number, key in enumerate(KEYS, 1)}


def told(facts: dict[str, object], leaf: int, kind: str = ROTATED) -> Event:
    """What a journal tells that is sealed by a leaf: its id says which."""
    return Event(identity(leaf), 2, kind, 1, 1, identity(leaf), 0, meta_text(facts), None, b"")


def chained(start: Sequence[SigningKey], *steps: tuple[SigningKey, SigningKey, int]) -> KeyChain:
    events = [told(rotated(before, after), leaf) for before, after, leaf in steps]
    leaves = {identity(leaf): leaf for *_, leaf in steps if leaf < 100}
    return chain_of([key.public for key in start], events, lambda journal, version: leaves.get(journal))


def numbers(keys: Sequence[NoteKey]) -> list[int]:
    return [_NAMES[key] for key in keys]


STEPS = ((FIRST, SECOND, 3), (SECOND, THIRD, 7))


@pytest.mark.parametrize("start", [FIRST, SECOND, THIRD])
@pytest.mark.parametrize("steps", [STEPS, STEPS[::-1]])
def test_the_way_goes_on_and_back_from_any_key(
    start: SigningKey, steps: tuple[tuple[SigningKey, SigningKey, int], ...]
) -> None:
    chain = chained([start], *steps)
    assert numbers(chain.keys) == [1, 2, 3]
    assert chain.retired == {FIRST.public: 3, SECOND.public: 7}
    assert numbers(chain.followers(FIRST.public)) == [2, 3]
    assert chain.forks == ()


def test_what_is_sealed_after_a_rotation_the_old_key_did_not_sign_in_force() -> None:
    chain = chained([FIRST], *STEPS)
    facts = signed_facts("payload_erased", {"exchange": "x"}, FIRST.public, FIRST.sign)
    for leaf, counts in ((2, True), (3, True), (4, False), (None, False)):  # what is not sealed comes after it
        event = told(facts, leaf or 100, "payload_erased")
        assert chain.counts(event, lambda journal, version: leaf) is counts  # noqa: B023 - asked at once
    assert not chain.counts(told({"exchange": "x"}, 1, "payload_erased"), lambda journal, version: 1)


def test_where_no_key_is_known_it_is_only_asked_whether_one_says_to_have_signed() -> None:
    facts = signed_facts("hold_released", {"hold": "x"}, FIRST.public, FIRST.sign)
    place = identity(1), 2
    assert KeyChain().vouches_for("hold_released", facts, place, lambda journal, version: None)
    assert not KeyChain().vouches_for("hold_released", {"hold": "x"}, place, lambda journal, version: None)
    former = KeyChain((SECOND.public,), former=(FIRST.public,))
    assert former.vouches_for("hold_released", facts, place, lambda journal, version: None)
    assert former.signer("hold_released", {"hold": "x"}) is None


def test_of_two_that_follow_the_one_that_was_sealed_first_counts_and_the_other_is_told() -> None:
    for steps in (((FIRST, OTHER, 9), (FIRST, SECOND, 3)), ((FIRST, SECOND, 3), (FIRST, OTHER, 9))):
        chain = chained([FIRST], *steps)
        assert numbers(chain.keys) == [1, 2]
        (fork,) = chain.forks
        assert (numbers([fork.before]), numbers(fork.after), fork.told_by) == ([1], [2, 4], (identity(9), 2))
    chain = chained([OTHER], (FIRST, OTHER, 9), (FIRST, SECOND, 3))  # somebody vouches for the other one
    assert numbers(chain.keys) == [1, 4]
    assert chain.retired == {FIRST.public: 9}


def test_one_that_is_not_sealed_comes_last_and_retires_nothing() -> None:
    assert numbers(chained([FIRST], (FIRST, OTHER, 100), (FIRST, SECOND, 3)).keys) == [1, 2]
    chain = chained([FIRST], (FIRST, SECOND, 100))
    assert (numbers(chain.keys), chain.retired) == ([1, 2], {})


def test_a_rotation_that_is_told_twice_is_none_of_two() -> None:
    chain = chained([FIRST], (FIRST, SECOND, 3), (FIRST, SECOND, 8))
    assert (chain.forks, chain.retired) == ((), {FIRST.public: 3})


def test_keys_that_follow_each_other_in_a_circle_end() -> None:
    chain = chained([FIRST], (FIRST, SECOND, 3), (SECOND, FIRST, 4))
    assert sorted(numbers(chain.keys)) == [1, 2]
    assert FIRST.public in chain.followers(FIRST.public)


@pytest.mark.parametrize("wrong", ["signature", "accepted"])
def test_what_one_of_the_two_has_not_signed_leads_nowhere(wrong: str) -> None:
    facts = rotated(FIRST, SECOND)
    facts[wrong] = rotated(OTHER, OTHER)[wrong]
    assert numbers(chain_of([FIRST.public], [told(facts, 1)], lambda journal, version: 1).keys) == [1]
    assert successor([told(facts, 1)], FIRST.public) is None
    assert successor([told(rotated(FIRST, SECOND), 1)], FIRST.public) == SECOND.public
    assert successor([told(rotated(FIRST, SECOND), 1)], SECOND.public) is None


def test_keys_of_another_ledger_are_not_followed() -> None:
    stranger = key_of(9, "example.test/other")
    assert numbers(chained([FIRST], (FIRST, stranger, 1)).keys) == [1]


def noted(key: SigningKey, size: int) -> tuple[int, str]:
    return size, key.signed(Checkpoint(ORIGIN, size, bytes(32)).text)


@pytest.mark.parametrize(
    ("sealed", "signed", "ends"),
    [
        (9, ((FIRST, 3), (SECOND, 5), (SECOND, 10)), 4),  # what tells of the rotation is sealed late
        (100, ((FIRST, 3), (SECOND, 5)), 4),  # or not at all
        (3, ((FIRST, 3), (SECOND, 9)), 3),  # or before the new key signed
        (3, ((FIRST, 3),), 3),
        (9, ((FIRST, 3), (THIRD, 6)), 5),  # a key that followed later
        (9, ((OTHER, 2), (FIRST, 4)), 9),
    ],
)
def test_a_key_ends_with_its_rotation_or_with_the_first_checkpoint_of_one_that_followed(
    sealed: int, signed: tuple[tuple[SigningKey, int], ...], ends: int
) -> None:
    chain = chained([FIRST], (FIRST, SECOND, sealed), (SECOND, THIRD, 20))
    ended = retired_by(chain, (noted(*one) for one in signed))
    assert ended.retired[FIRST.public] == ends
    assert ended.keys == chain.keys


def test_a_checkpoint_that_the_key_did_not_sign_ends_nothing() -> None:
    chain = chained([FIRST], (FIRST, SECOND, 9))
    size, note = noted(SECOND, 5)
    assert retired_by(chain, [(size, note.replace("\n5\n", "\n4\n")), (6, note)]).retired == {FIRST.public: 9}
