"""The record of an erasure is sealed before anything is emptied; what nobody sealed, nobody vouches for."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from recorder import Store
from recorder.api.acts import seal_first, write_down
from recorder.api.auditing import audit_store
from recorder.api.erasing import Ground, carry_out, plan_for
from recorder.api.vouching import signed
from recorder.clock import SystemClock, id_bytes
from recorder.core.chain import left_of
from recorder.errors import ErasureRefused
from recorder.ledger import keys
from recorder.ledger.audit import Asked
from recorder.ledger.sealer import Sealer
from recorder.ledger.standalone.verify import verify_bundle
from recorder.projections.erasing import erase_streams
from recorder.projections.runner import project
from recorder.store import open_store
from recorder.store.erased import acts_of_types, erased_streams
from recorder.store.projected import SqlProjected
from tests.attacker import Attacker, name
from tests.commands import run
from tests.contract.sealed import ORIGIN
from tests.erasing import GROUND, erase, recorded, told_erasures, verified
from tests.integration.test_erase_killed import killed
from tests.integration.test_foreign_key import erasure, findings, written


def test_the_record_is_sealed_before_anything_is_emptied(store_url: str) -> None:
    recorded(store_url)
    killed(store_url, "told")
    with closing(open_store(store_url, write=False)) as store:
        assert erased_streams(store) == frozenset()
        records = list(acts_of_types(store, ("payload_erased",)))
        leaves = [store.ledger.last_leaf(record.stream) for record in records]
        size, _ = store.ledger.last_checkpoint() or (0, "")
        assert records
        assert all(leaf is not None and leaf.number < size for leaf in leaves)


def test_finishing_seals_what_was_only_recorded(store_url: str) -> None:
    recorded(store_url)
    killed(store_url, "unsealed")
    with closing(open_store(store_url, write=False)) as store:
        journal = next(acts_of_types(store, ("payload_erased",))).stream
        assert store.ledger.last_leaf(journal) is None
    assert run("erase", "--finish", "--yes", "--store", store_url).exit_code == 0
    with closing(open_store(store_url, write=False)) as store:
        assert store.ledger.last_leaf(journal) is not None
        assert len(erased_streams(store)) == 4
    assert verified(store_url)["findings"] == []


def test_without_the_key_it_says_what_follows(store_url: str) -> None:
    made = recorded(store_url)
    key = keys.private_file(ORIGIN)
    away = key.with_name("away")
    key.rename(away)
    result = run("erase", made.hers[0], "--ground", GROUND, "--yes", "--store", store_url)
    assert result.exit_code == 0, result.stderr
    (line,) = [line for line in result.stderr.splitlines() if "not here" in line]
    assert ORIGIN in line
    assert "neither signed nor sealed" in line
    assert "nobody vouches for the erasure, until `recorder erase --finish`" in line
    unanswered = [(made.hers[0], "erasure", "authority")]
    assert found(store_url) == unanswered
    away.rename(key)
    assert run("seal", "--store", store_url).exit_code == 0
    assert found(store_url) == unanswered  # that it is sealed says that it was there, not who decided it
    result = run("erase", "--finish", "--store", store_url)
    assert result.exit_code == 2
    assert "give --yes" in result.stderr
    assert found(store_url) == unanswered
    result = run("erase", "--finish", "--yes", "--store", store_url)
    assert result.exit_code == 0, result.stderr
    (line,) = [line for line in result.stderr.splitlines() if "nobody vouches" in line]
    assert made.hers[0] in line
    assert GROUND in line
    assert "vouched for: 1 record of erasures" in result.stdout
    assert found(store_url) == []
    facts = told_erasures(store_url)[-1]
    assert facts["ground"] == GROUND
    assert facts["vouched_by"]
    assert "nobody vouches" not in run("erase", "--finish", "--yes", "--store", store_url).stderr


def found(url: str) -> list[tuple[str, str, str]]:
    return [(one["exchange"], one["kind"], one["field"]) for one in verified(url)["findings"]]


def test_a_hold_that_came_between_the_record_and_its_confirmation_forbids_nothing(store_url: str) -> None:
    made = recorded(store_url)
    key = keys.private_file(ORIGIN)
    away = key.with_name("away")
    key.rename(away)
    assert run("erase", made.hers[0], "--ground", GROUND, "--yes", "--store", store_url).exit_code == 0
    away.rename(key)
    assert run("hold", "place", "--all", "--ground", "the case", "--store", store_url).exit_code == 0
    assert run("erase", "--finish", "--yes", "--store", store_url).exit_code == 0
    assert found(store_url) == []
    assert run("seal", "--store", store_url).exit_code == 0  # all that is left, and it does not come after the hold
    assert found(store_url) == []


def test_a_made_up_erasure_that_a_restart_sealed_is_found_by_all(store_url: str, tmp_path: Path) -> None:
    recorded(store_url)
    with Attacker(store_url) as one:
        exchange = one.exchanges()[1]
        written(one, erasure(one, exchange))
    refused = run("bundle", "--order", "1", "-o", f"{tmp_path}/e.zip", "--store", store_url)
    assert refused.exit_code == 2
    assert "look with `recorder verify`" in refused.stderr
    key = keys.load(ORIGIN)
    assert key is not None
    with closing(open_store(store_url, write=True)) as store:  # as a recorder does where another one had died
        sealer = Sealer(SystemClock())
        sealer.begin(store, [exchange])
        sealer.end(store)
    assert findings(store_url)[0] == {("erasure", "authority")}
    assert findings(store_url, "--key", key.public.text)[0] == {("erasure", "authority")}
    assert run("bundle", "--order", "1", "-o", f"{tmp_path}/e.zip", "--store", store_url).exit_code == 1
    result = verify_bundle(tmp_path / "e.zip", [key.public.text])
    assert [(one["stream"], one["kind"], one["field"]) for one in result["findings"]] == [
        (name(exchange), "erasure", "authority")
    ]


@pytest.mark.parametrize("rotated", [False, True])
def test_a_bundle_says_the_same_of_what_the_key_vouches_for(store_url: str, tmp_path: Path, rotated: bool) -> None:
    made = recorded(store_url)
    erase(store_url, made.hers[0])
    if rotated:
        assert run("keys", "rotate", "--store", store_url).exit_code == 0
        assert run("retention", "set", "--days", "1", "--store", store_url).exit_code == 0  # the new key seals that
    assert run("bundle", "--order", "1", "-o", f"{tmp_path}/e.zip", "--store", store_url).exit_code == 0
    key = keys.load(ORIGIN)
    assert key is not None
    result = verify_bundle(tmp_path / "e.zip", [key.public.text])
    assert result["findings"] == []
    assert result["counts"]["erased"] > 0
    assert result["verdicts"]["authentic"] == "yes"


def test_a_hold_that_is_placed_while_somebody_is_asked_refuses_it(store_url: str) -> None:
    made = recorded(store_url)
    clock = SystemClock()
    with Store(store_url) as store:
        plan = plan_for(store, store.resolve(made.hers[0]), clock.wall_ns())
    assert run("hold", "place", made.hers[0], "--ground", "the case", "--store", store_url).exit_code == 0
    with pytest.raises(ErasureRefused, match="the case"):
        carry_out(store_url, clock, plan, Ground(GROUND))
    assert told_erasures(store_url) == []


def test_what_is_erased_while_it_is_audited_is_no_finding(store_url: str) -> None:
    made = recorded(store_url)
    erasing = _erasing(store_url, made.other)
    calls = count()
    with Store(store_url) as store:
        asked = Asked(SystemClock().wall_ns(), jobs=1, advance=lambda *_: erasing() if next(calls) == 0 else None)
        report = audit_store(store.reader, asked)
    assert next(calls) > 1  # there were streams yet when it was erased
    assert report.more["erased"]["payloads"] > 0
    assert report.findings == ()


def _erasing(url: str, exchange: str) -> Callable[[], None]:
    """Return what erases an exchange, but for writing files anew, which waits for readers."""

    def erase_now() -> None:
        clock = SystemClock()
        with closing(open_store(url, write=True)) as store:
            opened = store.opening(id_bytes(exchange))
            assert opened is not None
            events = list(store.events(opened.stream))
            left = {opened.stream: [(event.version, *left_of(opened, event)) for event in events]}
            project(store, SqlProjected(store))
            facts = {"exchange": exchange, "events": len(events), "bytes": 1, "ground": GROUND, "by": "me"}
            acts = signed([("payload_erased", facts)], keys.load(ORIGIN))
            journal = write_down(store, clock, "erase", acts, seal=False)
            assert seal_first(store, clock, [journal]) is None
            erase_streams(store, {opened.stream: [one._replace(meta=None, body=None) for one in events]}, left)

    return erase_now


def test_of_one_exchange_it_is_told_that_it_was_erased_and_not_by_whom(store_url: str) -> None:
    made = recorded(store_url)
    erase(store_url, made.hers[0])
    result = run("verify", made.hers[0], "--json", "--store", store_url)
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["erased"]["payloads"] > 0
    assert any("who erased what is erased" in sentence for sentence in report["not_proved"])
    assert "payloads erased in 1 exchange\n" in run("verify", made.hers[0], "--store", store_url).stdout
    whole = run("verify", made.other, "--json", "--store", store_url)
    assert not any("who erased" in sentence for sentence in json.loads(whole.stdout)["not_proved"])


def test_its_record_keeps_where_it_belonged(store_url: str) -> None:
    made = recorded(store_url)
    with Store(store_url) as store:
        home, _ = store.conversation_of(made.hers[1])
    erase(store_url, "annakarenina")
    told = {str(facts["exchange"]): facts for facts in told_erasures(store_url)}
    assert all(home in facts["conversations"] for facts in told.values())
    (link,) = [facts["linked"] for facts in told.values() if "linked" in facts]
    assert link["kind"] == "order"
    assert link["exchange"] == made.hers[1]
