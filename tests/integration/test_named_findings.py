"""Findings name what they are about, and what they name is found."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from recorder.clock import id_bytes, id_text
from recorder.store import open_store
from tests.attacker import Attacker
from tests.bundles import predicate_of
from tests.commands import SCHEMAS, run
from tests.erasing import recorded

#: By kind of event stream a type of event that only it has.
HAS = {
    "journal": "instance_stopped",
    "link": "linked",
    "conversation": "conversation_named",
    "exchange": "request_sent",
}


@pytest.mark.parametrize("kind", sorted(HAS))
def test_a_finding_says_what_its_stream_is_and_events_shows_it(store_url: str, kind: str) -> None:
    recorded(store_url)
    with closing(open_store(store_url, write=False)) as store:
        found = [e for _, events in store.walk() for e in events if e.type == HAS[kind]][-1]
    with Attacker(store_url) as attacker:
        attacker.run("UPDATE events SET mono_ns = mono_ns + 1 WHERE position = ?", found.position)
    identity = id_text(found.stream)
    report = audited(store_url)
    told = [one for one in report["findings"] if one["exchange"] == identity]
    assert told
    assert {one["stream"] for one in told} == {kind}
    short = identity.replace("-", "")[-8:]
    assert f"  {kind} {short} version {found.version}" in run("verify", "--store", store_url).stdout
    for name in (identity, short):
        shown = run("events", name, "--store", store_url)
        assert shown.exit_code == 0, shown.stderr
        if kind != "conversation":  # which stands for its exchanges
            assert shown.stdout.startswith(f"{kind} {identity}\n")


@pytest.mark.parametrize("kind", ["conversation", "exchange", "journal", "link"])
def test_a_finding_of_a_bundle_says_what_its_stream_is(sqlite_url: str, kind: str, tmp_path: Path) -> None:
    recorded(sqlite_url)
    assert run("seal", "--store", sqlite_url).exit_code == 0
    out = tmp_path / "e.zip"
    bundle = ("bundle", "--order", "1", "-o", str(out), "--store", sqlite_url)
    assert run(*bundle).exit_code == 0
    told = [one for one in predicate_of(out)["streams"] if one["kind"] == kind]
    stream = told[0]["id"]
    with closing(open_store(sqlite_url, write=False)) as store:
        first = next(store.events(id_bytes(stream)))
    with Attacker(sqlite_url) as attacker:
        attacker.run("UPDATE events SET mono_ns = mono_ns + 1 WHERE position = ?", first.position)
    made = run(*bundle, "--force")
    assert made.exit_code == 1
    assert f"whoever verifies it will find: {kind} {stream}" in made.stderr, made.stderr
    shown = json.loads(run("verify", "--bundle", str(out), "--json").stdout)
    Draft202012Validator(json.loads((SCHEMAS / "bundle.schema.json").read_text())).validate(shown)
    assert (kind, stream) in {(one["of"], one["stream"]) for one in shown["findings"] if "stream" in one}
    assert f"  FOUND {kind} {stream} " in run("verify", "--bundle", str(out)).stdout


def audited(url: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("verify", "--json", "--store", url).stdout)
    Draft202012Validator(json.loads((SCHEMAS / "verify.schema.json").read_text())).validate(found)
    return found
