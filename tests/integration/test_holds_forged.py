"""Somebody who can write the database, and has no key, makes up what is to lift a hold or a retention period."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from recorder.core.events import Event, meta_text
from recorder.core.notes import NoteKey
from recorder.core.signed_facts import signed_facts
from recorder.ledger import keys
from recorder.store import open_store
from recorder.store.erased import acts_of_types, erased_streams
from tests.attacker import Attacker, name
from tests.commands import json_lines, run, told
from tests.contract.sealed import ORIGIN
from tests.erasing import GROUND, recorded, told_erasures
from tests.integration.test_foreign_key import findings, key_of_somebody, written

FIRST_OF_ALL = bytes(15) + b"1"

Facts = dict[str, Any]
#: Gets a store, and the facts of the hold or the period that counts; writes into the store what is to end it.
Forge = Callable[[str, Facts], None]


def done(url: str, *arguments: str) -> str:
    result = run(*arguments, "--store", url)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def placed(url: str, *arguments: str) -> Facts:
    """Place a hold; return what its event says."""
    hold = done(url, "hold", "place", *arguments, "--ground", "the case").split()[1]
    return next(facts for facts in told_of(url, "hold_placed") if facts["hold"] == hold)


def told_of(url: str, kind: str) -> list[Facts]:
    with closing(open_store(url, write=False)) as store:
        return [event.facts for event in acts_of_types(store, (kind,))]


def set_days(url: str, days: int, *arguments: str) -> Facts:
    """Set a retention period; return what its event says."""
    before = told_of(url, "retention_set")
    done(url, "retention", "set", "--days", str(days), *arguments)
    (facts,) = (facts for facts in told_of(url, "retention_set") if facts not in before)
    return facts


def forge(url: str, *acts: tuple[str, Facts], journal: bytes | None = None) -> None:
    with Attacker(url) as one:
        written(one, *acts, journal=journal)


def check_kept(url: str, identity: str, why: str) -> None:
    """Check that nothing is erased, before and after a restart has sealed what it found."""
    for _ in range(2):
        assert why in told(run("erase", identity, "--ground", GROUND, "--yes", "--store", url), 1)
        with closing(open_store(url, write=False)) as store:
            assert erased_streams(store) == frozenset()
        assert told_erasures(url) == []
        done(url, "seal")


def release(facts: Facts, **more: object) -> tuple[str, Facts]:
    return "hold_released", {"hold": facts["hold"], "by": "officer", "ground": "closed", **more}


def signed_by_somebody(url: str, facts: Facts) -> None:
    mine = key_of_somebody()
    journal = FIRST_OF_ALL
    act = release(facts, journal=name(journal))[1]
    forge(url, ("hold_released", signed_facts("hold_released", act, mine.public, mine.sign)), journal=journal)


def signed_for_another_log(url: str, facts: Facts) -> None:
    """The key's holder released a hold of that name in another store of his, whose ledger goes by another name."""
    key = keys.load(ORIGIN)
    assert key is not None
    act = release(facts, journal=name(FIRST_OF_ALL))[1]
    other = NoteKey("example.test/lab", key.public.public)
    told_there = signed_facts("hold_released", act, other, key.sign)
    with_id = signed_facts("hold_released", act, key.public, lambda message: bytes(64))
    forge(url, ("hold_released", told_there), ("hold_released", with_id), journal=FIRST_OF_ALL)


def released_another(url: str) -> tuple[Facts, list[Event]]:
    """Place a hold and release it; return what the release says, and the journal of that."""
    other = placed(url, "--all")
    done(url, "hold", "release", other["hold"], "--ground", "closed")
    with closing(open_store(url, write=False)) as store:
        (event,) = (one for one in acts_of_types(store, ("hold_released",)) if one.facts["hold"] == other["hold"])
        return event.facts, list(store.events(event.stream))


def signed_for_another_hold(url: str, facts: Facts) -> None:
    honest, _ = released_another(url)
    forge(url, ("hold_released", {**honest, "hold": facts["hold"]}), ("hold_released", honest))


def in_the_journal_of_another(url: str, facts: Facts) -> None:
    """Say it in the journal of a release of another hold, before its end and after it."""
    honest, events = released_another(url)
    meta = meta_text({**honest, "hold": facts["hold"]})
    with Attacker(url) as one:
        said = events[1]._replace(meta=meta)
        one.change(said.stream, lambda there: [*there[:-1], said, there[-1], said])


def placed_anew(**scope: object) -> Forge:
    """Say of the hold that it is of something else."""

    def forge_it(url: str, facts: Facts) -> None:
        kept = {
            name: value for name, value in facts.items() if name in ("hold", "by", "ground", "journal", "signature")
        }
        forge(url, ("hold_placed", {**kept, **scope}))
        forge(url, ("hold_placed", {**kept, **scope}), ("hold_released", release(facts)[1]), journal=FIRST_OF_ALL)

    return forge_it


RELEASES: dict[str, Forge] = {
    "unsigned": lambda url, facts: forge(url, release(facts)),
    "unsigned, in the oldest journal": lambda url, facts: forge(url, release(facts), journal=FIRST_OF_ALL),
    "no signature": lambda url, facts: forge(url, release(facts, signature="AAAA", journal=facts["journal"])),
    "the signature of the hold": lambda url, facts: forge(url, release(facts, signature=facts["signature"])),
    "signed by somebody": signed_by_somebody,
    "signed for another log": signed_for_another_log,
    "signed for another hold": signed_for_another_hold,
    "in the journal of another": in_the_journal_of_another,
    "placed anew, of another exchange": placed_anew(exchange="x"),
    "placed anew, until a time that is over": placed_anew(all=True, until_ns=1),
}


@pytest.mark.parametrize("how", RELEASES)
def test_no_release_that_somebody_made_up_lifts_a_hold(store_url: str, how: str) -> None:
    made = recorded(store_url)
    facts = placed(store_url, made.hers[0])
    RELEASES[how](store_url, facts)
    check_kept(store_url, made.hers[0], facts["hold"])
    (row,) = json_lines(run("hold", "list", "--json", "--store", store_url), "hold")
    assert (row["hold"], row["signed"], row["exchange"]) == (facts["hold"], True, made.hers[0])
    done(store_url, "hold", "release", facts["hold"], "--ground", "closed")  # it is the key's holder who does
    done(store_url, "erase", made.hers[0], "--ground", GROUND, "--yes")
    assert "hold" not in {field for _, field in findings(store_url)[0]}


def test_a_release_that_is_written_down_once_more_lifts_no_hold_that_is_placed_again(store_url: str) -> None:
    made = recorded(store_url)
    first = placed(store_url, made.hers[0])
    done(store_url, "hold", "release", first["hold"], "--ground", "closed")
    (released,) = told_of(store_url, "hold_released")
    second = placed(store_url, made.hers[0])  # in its turn: what is placed again has another id
    assert second["hold"] != first["hold"]
    forge(store_url, ("hold_released", released))
    forge(store_url, ("hold_released", {**released, "hold": second["hold"]}), journal=FIRST_OF_ALL)
    check_kept(store_url, made.hers[0], second["hold"])


def test_a_hold_that_was_released_does_not_come_back(store_url: str) -> None:
    made = recorded(store_url)
    facts = placed(store_url, made.hers[0])
    done(store_url, "hold", "release", facts["hold"], "--ground", "closed")
    forge(store_url, ("hold_placed", facts))
    forge(store_url, ("hold_placed", {name: facts[name] for name in ("hold", "by", "ground", "exchange")}))
    done(store_url, "seal")
    done(store_url, "erase", made.hers[0], "--ground", GROUND, "--yes")
    assert findings(store_url)[0] == set()


def nothing_of_everything(**more: object) -> Forge:
    return lambda url, facts: forge(url, ("retention_set", {"days": 0, "by": "officer", **more}))


def nothing_of_each(url: str, facts: Facts) -> None:
    """Set it off for every conversation there is."""
    ids = [row["conversation"] for row in json_lines(run("list", "--json", "--store", url), "list")]
    assert ids
    forge(url, *(("retention_set", {"days": 0, "by": "officer", "of": one}) for one in ids))


PERIODS: dict[str, Forge] = {
    "unsigned": nothing_of_everything(),
    "unsigned, in the oldest journal": lambda url, facts: forge(
        url, ("retention_set", {"days": 0, "by": "officer"}), journal=FIRST_OF_ALL
    ),
    "saying that it replaces it": lambda url, facts: nothing_of_everything(replaces=facts["journal"])(url, facts),
    "of something else, saying that it replaces it": lambda url, facts: nothing_of_everything(
        replaces=facts["journal"], of=name(FIRST_OF_ALL)
    )(url, facts),
    "with its signature": lambda url, facts: forge(url, ("retention_set", {**facts, "days": 0})),
    "of each conversation": nothing_of_each,
}


@pytest.mark.parametrize("how", PERIODS)
def test_no_retention_period_that_somebody_made_up_replaces_or_shortens_one(store_url: str, how: str) -> None:
    made = recorded(store_url)
    facts = set_days(store_url, 2555)
    PERIODS[how](store_url, facts)
    for identity in (made.hers[0], "annakarenina", made.other):
        check_kept(store_url, identity, "by the retention period")
    set_days(store_url, 0)
    if how != "of each conversation":
        rows = json_lines(run("retention", "list", "--json", "--store", store_url), "retention")
        assert [row for row in rows if "of" not in row] == []
    done(store_url, "erase", made.hers[0], "--ground", GROUND, "--yes")
    assert "retention" not in {field for _, field in findings(store_url)[0]}


@pytest.mark.parametrize("where", ["another journal", "the oldest journal", "its own journal"])
def test_a_retention_period_of_before_that_is_written_down_once_more_does_not_count(store_url: str, where: str) -> None:
    made = recorded(store_url)
    before = set_days(store_url, 0)
    set_days(store_url, 2555)
    with Attacker(store_url) as one:
        if where == "its own journal":
            own = next(
                event
                for journal in one.journals()
                for event in one.events(journal)
                if event.type == "retention_set" and json.loads(event.meta or "") == before
            )
            one.change(own.stream, lambda events: [*events, own])
        else:
            written(one, ("retention_set", before), journal=FIRST_OF_ALL if where == "the oldest journal" else None)
    check_kept(store_url, made.hers[0], "by the retention period")


def test_what_is_said_of_a_conversation_whose_id_is_none_is_of_nothing(store_url: str) -> None:
    made = recorded(store_url)
    hold = {"hold": "h", "conversation": "x", "ground": "g", "by": "officer"}
    forge(store_url, ("retention_set", {"days": 9, "by": "officer", "of": "x"}), ("hold_placed", hold))
    done(store_url, "erase", made.hers[0], "--ground", GROUND, "--yes")


def test_what_nobody_signed_keeps_until_anybody_says_otherwise(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a store from before holds were signed, or where the key never is."""
    made = recorded(store_url)
    with monkeypatch.context() as patched:
        patched.setenv("XDG_DATA_HOME", "/nonexistent/none")
        facts = placed(store_url, made.hers[0])
        set_days(store_url, 2555)
    assert "signature" not in facts
    assert facts["hold"] in told(run("erase", made.hers[0], "--ground", GROUND, "--yes", "--store", store_url), 1)
    forge(store_url, release(facts), ("retention_set", {"days": 0, "by": "x"}))
    done(store_url, "erase", made.hers[0], "--ground", GROUND, "--yes")
