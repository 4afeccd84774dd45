"""From the broker's record of an order to a verified answer of the model, on a machine where nothing is installed.

The example bot trades once: it asks a model, seals what that said, sends the tag of the seal along as the client order
id. Then nobody knows anything but the id of the order, and what the broker has written down.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import sqlite3
import struct
import subprocess
import sys
import zipfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.commands import json_lines, run
from tests.recorded import ROOT

EXAMPLE = ROOT / "examples" / "trading_bot"
ORIGIN = "example.com/desk"
ABSENT = 0xFFFFFFFF
ARGUMENTS = '{"symbol": "EURUSD", "side": "buy", "quantity": 15000}'


@dataclass(frozen=True)
class Trade:
    """One order that was placed.

    :ivar order: the broker's id of it; ``record``: what the broker has written down.
    :ivar fingerprint: of the ledger's key, as it was read out to the auditor.
    """

    url: str
    folder: Path
    order: str
    record: dict[str, Any]
    fingerprint: str

    def command(self, *arguments: str) -> Any:
        return run("--store", self.url, *arguments)

    def bundle(self, name: str = "evidence.zip") -> Path:
        """Make the bundle of the order."""
        path = self.folder / name
        done = self.command("bundle", "--order", self.order, "-o", str(path))
        assert done.exit_code == 0, done.stderr
        return path


def practised(url: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Trade once, as a program of its own."""
    environment = {**os.environ, "RECORDER_STORE": url, "NO_PROXY": "*"}
    command = [sys.executable, EXAMPLE / "practice.py"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def trade(store_url: str, tmp_path: Path) -> Trade:
    assert run("--store", store_url, "keys", "init", "--origin", ORIGIN).exit_code == 0
    fingerprint = json.loads(run("--store", store_url, "keys", "show", "--json").stdout)["key"]["fingerprint"]
    done = practised(store_url, tmp_path)
    assert done.returncode == 0, done.stderr
    (line,) = (tmp_path / "book.jsonl").read_text().splitlines()
    return Trade(store_url, tmp_path, done.stdout.strip(), json.loads(line), fingerprint)


def alone(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder where there is nothing else: no packages, no home, no variable of ours."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    environment = {"HOME": str(home), "PATH": os.defpath}
    command = [sys.executable, "-I", "-S", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_from_an_order_id_to_the_answer_that_a_stranger_verifies(trade: Trade, tmp_path: Path) -> None:
    (traced,) = json_lines(trade.command("trace", f"order:{trade.order}", "--json"), "trace")
    assert traced["tag"] == trade.record["client_order_id"]
    assert traced["facts"] == {name: trade.record[name] for name in ("symbol", "side", "quantity")}
    (step,) = traced["steps"]
    assert step["exchange"] == traced["exchange"]
    assert step["answered"][0]["parts"][0]["arguments_text"] == ARGUMENTS
    assert step["seal"]["ended"]
    assert step["seal"]["sealed_at"] < trade.record["accepted_at"]

    machine = tmp_path / "empty machine"
    machine.mkdir()
    trade.bundle().replace(machine / "evidence.zip")
    shutil.copy(ROOT / "docs" / "verify.py", machine)
    assert alone(machine, "-c", "import requests").returncode == 1
    from_the_project = alone(machine, "verify.py", "evidence.zip", "--key", trade.fingerprint, "--json")
    assert alone(machine, "-m", "zipfile", "-e", "evidence.zip", "opened").returncode == 0
    from_the_bundle = alone(machine, "opened/verify.py", "evidence.zip", "--key", trade.fingerprint, "--json")
    assert from_the_project.returncode == from_the_bundle.returncode == 0, from_the_project.stdout
    assert from_the_bundle.stdout == from_the_project.stdout
    told = json.loads(from_the_project.stdout)
    assert told["findings"] == []
    for question in ("authentic", "unmodified", "complete_in_range"):
        assert told["verdicts"][question] == "yes"
    assert [one["id"] for one in told["exchanges"]] == [traced["exchange"]]
    assert ARGUMENTS in (machine / "opened" / "transcript.md").read_text()
    assert "Act within the limits of the desk." in (machine / "opened" / "transcript.md").read_text()


def test_what_the_broker_wrote_down_commits_to_the_answer(trade: Trade) -> None:
    """Computed by hand, as docs/format.md has it: nothing of recorder is used on what is in the bundle."""
    with zipfile.ZipFile(trade.bundle()) as bundle:
        entries = bundle.read("ledger/leaves.bin")
        leaves = [entries[at : at + 122] for at in range(0, len(entries), 122)]
        (committed,) = [leaf for leaf in leaves if tag_of(leaf) == trade.record["client_order_id"]]
        stream, length, head = struct.unpack_from(">16sQ32s", committed, 17 + 32)
        events = list(events_of(bundle.read(f"streams/{dashed(stream)}.ev")))
    assert events[length - 1][0] == head  # the hash of the last event, which commits to all before
    body = b"".join(body for _, kind, body in events[:length] if kind == "chunk_received")
    pieces = [json.loads(line[6:]) for line in body.splitlines() if line.startswith(b"data: {")]
    calls = [call for piece in pieces for choice in piece["choices"] for call in choice["delta"].get("tool_calls", ())]
    assert "".join(call["function"]["arguments"] for call in calls) == ARGUMENTS
    assert json.loads(ARGUMENTS)["quantity"] == trade.record["quantity"]
    assert events[length - 1][1] == "response_completed"


def tag_of(leaf: bytes) -> str:
    return base64.b32encode(hashlib.sha256(b"\0" + leaf).digest())[:20].decode().lower()


def dashed(stream: bytes) -> str:
    text = stream.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def events_of(records: bytes) -> list[tuple[bytes, str, bytes]]:
    """Return hash, type and body of the events in a file of records."""
    found, at = [], 0
    while at < len(records):
        size, _, kind = struct.unpack_from(">IIB", records, at)
        if kind == 2:
            (head,) = struct.unpack_from(">32s", records, at + 9 + 60)
            type_size, _, body = struct.unpack_from(">HII", records, at + 9 + 92)
            start, end = at + 9 + 102, at + 8 + size
            kind_of_event = records[start : start + type_size].decode()
            found.append((head, kind_of_event, b"" if body == ABSENT else records[end - body : end]))
        at += 8 + size
    return found


def test_another_order_than_the_model_called_for_is_found_by_all(trade: Trade, tmp_path: Path) -> None:
    """Somebody turns 15,000 into 95,000 in the store: trace, bundle, verify and the stranger say so."""
    assert change(trade.url, b'"quantity\\": 1"', b'"quantity\\": 9"') == 1
    traced = trade.command("trace", f"order:{trade.order}")
    assert traced.exit_code == 1
    assert "95000" in traced.stdout
    (line,) = [line for line in traced.stdout.splitlines() if line.strip().startswith("changed")]
    assert "does not verify" in line
    assert trade.command("verify").exit_code == 1
    made = trade.command("bundle", "--order", trade.order, "-o", str(tmp_path / "changed.zip"))
    assert made.exit_code == 1
    assert "warning: whoever verifies it will find:" in made.stderr
    assert "chunk_received is not what was written" in made.stderr
    shutil.copy(ROOT / "docs" / "verify.py", tmp_path)
    stranger = alone(tmp_path, "verify.py", "changed.zip", "--key", trade.fingerprint, "--json")
    assert stranger.returncode == 1
    assert json.loads(stranger.stdout)["verdicts"]["unmodified"] == "no"


def change(url: str, old: bytes, new: bytes) -> int:
    """Replace bytes in what was answered, past all triggers; return how many events that changed."""
    sql = "UPDATE events SET body = {} WHERE type = 5 AND {} > 0"
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection, connection:
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                connection.execute(f"DROP TRIGGER {name}")
            replaced = "CAST(replace(CAST(body AS TEXT), :old, :new) AS BLOB)"
            given = {"old": old.decode(), "new": new.decode()}
            return connection.execute(sql.format(replaced, "instr(body, CAST(:old AS BLOB))"), given).rowcount
    with psycopg.connect(url) as server:
        server.execute("ALTER TABLE events DISABLE TRIGGER USER")
        replaced = "overlay(body PLACING %(new)s FROM position(%(old)s IN body))"
        return server.execute(sql.format(replaced, "position(%(old)s IN body)"), {"old": old, "new": new}).rowcount


def test_nothing_is_traded_that_is_not_sealed(store_url: str, tmp_path: Path) -> None:
    """Without a ledger the example stops before the broker hears of anything."""
    done = practised(store_url, tmp_path)
    assert done.returncode != 0
    assert "recorder keys init" in done.stderr
    assert not (tmp_path / "book.jsonl").exists()
