"""Which exchanges training examples are made of."""

from __future__ import annotations

from collections.abc import Iterable

from recorder.core.conversation import Conversation
from recorder.core.rebuilt import Rebuilt
from recorder.formats.leaves import leaf_lines
from recorder.formats.openai_messages import NoPlaceError
from tests.unit.formats.made import said, told

ONES = [told([said("user", str(number))], said("assistant", "a"), number=number) for number in range(1, 8)]
IDS = [one.id for one in ONES]


def tree(**parents: int) -> Conversation:
    """Return a conversation in which ``e2=1`` says that the second exchange extends the first."""
    found = {IDS[int(child[1:]) - 1]: IDS[parent - 1] for child, parent in parents.items()}
    return Conversation("c", None, tuple(IDS), found)


def leaves(exchanges: Iterable[Rebuilt], conversation: Conversation | None, unusable: Iterable[int] = ()) -> list[int]:
    out = [IDS[number - 1] for number in unusable]
    lines = leaf_lines(exchanges, conversation, lambda one: [] if one.id in out else [one.id])
    return [IDS.index(line) + 1 for line in lines]


def test_what_nothing_extends_is_a_leaf() -> None:
    assert leaves(ONES[:3], tree(e2=1, e3=2)) == [3]
    assert leaves(ONES[:4], tree(e2=1, e3=1, e4=3)) == [2, 4]
    assert leaves(ONES[:3], tree()) == [1, 2, 3]
    assert leaves([], tree()) == []


def test_where_the_last_cannot_be_an_example_the_one_before_is() -> None:
    assert leaves(ONES[:3], tree(e2=1, e3=2), unusable=[3]) == [2]
    assert leaves(ONES[:3], tree(e2=1, e3=2), unusable=[2, 3]) == [1]
    assert leaves(ONES[:3], tree(e2=1, e3=2), unusable=[2]) == [3]
    assert leaves(ONES[:3], tree(e2=1, e3=1), unusable=[2, 3]) == [1]


def test_the_order_of_the_exchanges_does_not_matter() -> None:
    conversation = tree(e2=1, e3=2, e4=2)
    assert leaves(reversed(ONES[:4]), conversation) == [4, 3]
    assert leaves(reversed(ONES[:4]), conversation, unusable=[3, 4]) == [2]


def test_what_extends_it_need_not_be_in_the_export() -> None:
    assert leaves(ONES[:1], tree(e2=1)) == [1]
    assert leaves(ONES[1:2], tree(e2=1)) == [2]


class Watched(list[Rebuilt]):
    """Exchanges that take note of what is left out."""

    def __init__(self, exchanges: Iterable[Rebuilt]) -> None:
        super().__init__(exchanges)
        self.reasons: list[str] = []

    def left_out(self, reason: str) -> None:
        self.reasons.append(reason)


def left_out(exchanges: Iterable[Rebuilt], conversation: Conversation | None, unusable: Iterable[int]) -> list[str]:
    """Return why exchanges are left out, the *unusable* ones being so for their number."""
    reasons = {IDS[number - 1]: str(number) for number in unusable}

    def lines(one: Rebuilt) -> list[str]:
        if one.id in reasons:
            raise NoPlaceError(reasons[one.id])
        return [one.id]

    watched = Watched(exchanges)
    assert list(leaf_lines(watched, conversation, lines)) == list(leaf_lines(list(watched), conversation, lines))
    return sorted(watched.reasons)


def test_what_is_in_no_example_is_told() -> None:
    assert left_out(ONES[:3], tree(e2=1, e3=2), unusable=[]) == []
    assert left_out(ONES[:3], tree(e2=1, e3=2), unusable=[3]) == ["3"]
    assert left_out(ONES[:3], tree(e2=1, e3=2), unusable=[2]) == []  # it is in the third one's
    assert left_out(reversed(ONES[:3]), tree(e2=1, e3=2), unusable=[2]) == []
    assert left_out(reversed(ONES[:3]), tree(e2=1, e3=2), unusable=[1, 2, 3]) == ["1", "2", "3"]
    assert left_out(ONES[:3], tree(), unusable=[1, 3]) == ["1", "3"]
    assert left_out(ONES[:1], tree(e2=1), unusable=[1]) == ["1"]  # what extends it is not in the export
    assert left_out(ONES[:2], None, unusable=[2]) == ["2"]


def test_lines_come_as_soon_as_nothing_can_extend_them() -> None:
    """In a long conversation nothing piles up: what is held back is one exchange's lines."""
    seen: list[int] = []

    def each() -> Iterable[Rebuilt]:
        for number, one in enumerate(ONES, 1):
            seen.append(number)
            yield one

    lines = leaf_lines(each(), tree(e2=1, e3=2, e5=4, e6=5), lambda one: [one.id])
    assert next(lines) == IDS[2]
    assert seen == [1, 2, 3]
    assert next(lines) == IDS[5]
    assert seen == [1, 2, 3, 4, 5, 6]


def test_without_a_conversation_the_messages_tell() -> None:
    first = told([said("user", "q")], said("assistant", "a"), number=1)
    second = told([said("user", "q"), said("assistant", "a"), said("user", "r")], said("assistant", "b"), number=2)
    other = told([said("user", "z")], said("assistant", "a"), number=3)
    for given in ([first, second, other], iter([first, second, other])):
        assert leaves(given, None) == [2, 3]
