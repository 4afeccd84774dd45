"""``recorder verify --bundle --roots``: the time stamps in a bundle, for whoever has nothing but the bundle."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests
from jsonschema import Draft202012Validator

from recorder import Recorder
from recorder.clock import SystemClock
from recorder.ledger.anchoring import leave
from recorder.ledger.anchors.time_stamps import TimeStampAnchor
from recorder.store import open_store
from tests.bundles import members, repacked
from tests.commands import SCHEMAS, run, told
from tests.contract.sealed import ORIGIN
from tests.loopback import Script, serve
from tests.recorded import ask
from tests.tsa import Authority, Served


def recorded(url: str) -> None:
    """Record an exchange, sealed."""
    with serve(Script(chunks=2)) as server, Recorder(url) as recorder:
        assert ask(recorder.mount(requests.Session()), server.url, "What next?").content


def stamped(url: str, anchor: TimeStampAnchor) -> None:
    """Have the last checkpoint stamped."""
    clock = SystemClock()
    with closing(open_store(url, write=True)) as store:
        last = store.ledger.last_checkpoint()
        assert last is not None
        store.ledger.add_anchor(leave(anchor, last[1].encode(), clock).kept_as(clock.new_id()))


@pytest.fixture
def bundle(sqlite_url: str, tmp_path: Path, tsa: Served, authority: Authority) -> Path:
    """A bundle of two exchanges, of which a time stamp covers the first."""
    assert run("keys", "init", "--origin", ORIGIN, "--store", sqlite_url).exit_code == 0
    recorded(sqlite_url)
    stamped(sqlite_url, TimeStampAnchor(tsa.url, authority.roots))
    recorded(sqlite_url)
    return bundled(sqlite_url, tmp_path / "evidence.zip")


def bundled(url: str, path: Path) -> Path:
    made = run("bundle", "--since", "2001-01-01", "-o", str(path), "--force", "--store", url)
    assert made.exit_code == 0, made.stderr
    return path


def checked(path: Path, roots: Path, code: int = 0) -> dict[str, Any]:
    result = run("verify", "--bundle", str(path), "--roots", str(roots), "--json")
    assert result.exit_code == code, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    Draft202012Validator(json.loads((SCHEMAS / "bundle.schema.json").read_text())).validate(found)
    return found


def test_a_time_stamp_bounds_what_it_covers(bundle: Path, sqlite_url: str, tsa: Served, authority: Authority) -> None:
    without = json.loads(run("verify", "--bundle", str(bundle), "--json").stdout)
    assert any("what the anchors say" in sentence for sentence in without["not_proved"])
    found = checked(bundle, authority.roots)
    assert found["findings"] == []
    assert found["verdicts"]["bounded_in_time"] == "partly"
    (anchor,) = found["anchors"]
    assert anchor["state"] == "confirmed"
    first, second = found["exchanges"]
    assert first["not_after"] == anchor["not_after"]
    assert first["sealed_at"] <= anchor["not_after"]
    assert "not_after" not in second
    assert not any("what the anchors say" in sentence for sentence in found["not_proved"])
    assert any("no second history" in sentence for sentence in found["not_proved"])
    shown = run("verify", "--bundle", str(bundle), "--roots", str(authority.roots)).stdout
    assert "stamped this checkpoint" in shown
    stamped(sqlite_url, TimeStampAnchor(tsa.url, authority.roots))
    assert checked(bundled(sqlite_url, bundle), authority.roots)["verdicts"]["bounded_in_time"] == "yes"


def test_a_stamp_of_an_authority_that_is_not_trusted_is_found(
    bundle: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = Authority(tmp_path_factory.mktemp("other"))
    found = checked(bundle, other.roots, 1)
    assert [(one["kind"], one["field"]) for one in found["findings"]] == [("anchor", found["anchors"][0]["file"])]
    assert found["anchors"][0]["state"] == "contradicted"
    assert found["verdicts"]["bounded_in_time"] != "yes"


@pytest.mark.parametrize(
    "change",
    [
        lambda evidence: evidence[:-40] + bytes([evidence[-40] ^ 1]) + evidence[-39:],
        lambda evidence: evidence[:200],
        lambda evidence: b"",
    ],
    ids=["a bit", "cut", "empty"],
)
def test_a_stamp_that_was_changed_is_found(
    change: Callable[[bytes], bytes], bundle: Path, tmp_path: Path, authority: Authority
) -> None:
    name = next(name for name in members(bundle) if name.startswith("anchors/"))
    anchor = json.loads(members(bundle)[name])
    anchor["evidence"] = base64.b64encode(change(base64.b64decode(anchor["evidence"]))).decode()
    text = json.dumps(anchor, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    found = checked(repacked(bundle, tmp_path / "changed.zip", {name: text}), authority.roots, 1)
    assert ("anchor", name) in {(one["kind"], one["field"]) for one in found["findings"]}


def test_what_is_no_bundle_and_what_are_no_roots(bundle: Path, tmp_path: Path, authority: Authority) -> None:
    damaged = tmp_path / "damaged.zip"
    damaged.write_bytes(bundle.read_bytes()[:-100])
    assert {one["kind"] for one in checked(damaged, authority.roots, 1)["findings"]} == {"bundle"}
    arguments = ("verify", "--bundle", str(bundle), "--roots")
    assert "cannot be read" in told(run(*arguments, str(tmp_path / "none.pem")), 2)
    (tmp_path / "empty.pem").write_text("nothing")
    assert "holds no certificate" in told(run(*arguments, str(tmp_path / "empty.pem")), 2)


def test_what_was_there_before_it_says_to_have_been_sealed_is_found_as_it_is_in_the_store(
    sqlite_url: str, tmp_path: Path, tsa: Served, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("keys", "init", "--origin", ORIGIN, "--store", sqlite_url).exit_code == 0
    really = time.time_ns
    with monkeypatch.context() as ahead:
        ahead.setattr("time.time_ns", lambda: really() + 3_600_000_000_000)
        recorded(sqlite_url)
        stamped(sqlite_url, TimeStampAnchor(tsa.url, authority.roots))
        path = bundled(sqlite_url, tmp_path / "evidence.zip")
    assert json.loads(run("verify", "--bundle", str(path), "--json").stdout)["findings"] == []
    found = checked(path, authority.roots, 1)
    roots = ("--roots", str(authority.roots))
    audited = json.loads(run("verify", "--json", "--store", sqlite_url, *roots).stdout)["findings"]
    here = {one["stream"] for one in found["findings"]}
    told = {(one["kind"], one["stream"], one["version"], one["field"]) for one in found["findings"]}
    assert {kind for kind, *_ in told} == {"clock"}
    assert told == {
        (one["kind"], one["exchange"], one["version"], one["field"]) for one in audited if one["exchange"] in here
    }
    assert {one["id"] for one in found["exchanges"]} <= here
    assert found["verdicts"]["bounded_in_time"] == "no"
