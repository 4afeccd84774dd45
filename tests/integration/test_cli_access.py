"""The access trail: who took data out, recorded where the store has a ledger, and nowhere else."""

from __future__ import annotations

import hashlib
from contextlib import closing
from pathlib import Path

import pytest
import requests

from recorder import Recorder
from recorder.store import open_store
from tests.commands import run
from tests.erasing import recorded
from tests.journals import journals
from tests.loopback import Script, serve
from tests.postgres_server import PostgresServer
from tests.recorded import ask


def accesses(url: str) -> list[dict[str, object]]:
    return [e.facts for events in journals(url).values() for e in events if e.type == "accessed"]


def test_what_is_taken_out_is_recorded_with_who_and_what(store_url: str, tmp_path: Path) -> None:
    made = recorded(store_url)
    assert run("export", "annakarenina", "--format", "json", "--store", store_url).exit_code == 0
    assert run("export", "--all", "-o", str(tmp_path / "all.md"), "--store", store_url).exit_code == 0
    bundled = run("bundle", "--exchange", made.other, "-o", str(tmp_path / "e.zip"), "--store", store_url)
    assert bundled.exit_code == 0, bundled.stderr
    assert run("verify", "--store", store_url).exit_code == 0  # which changes nothing of what it audits
    assert run("list", "--store", store_url).exit_code == 0
    assert run("show", made.other, "--store", store_url).exit_code == 0
    found = accesses(store_url)
    assert [one["action"] for one in found] == ["export", "export", "bundle"]
    assert "annakarenina" not in str(found)  # an erasure could not take it away again
    assert str(found[0]["of"]).startswith("conversation ")
    assert [one["of"] for one in found[1:]] == ["everything", f"exchange {made.other}"]
    assert [one["result"] for one in found] == ["as json", "as markdown", "1 exchanges"]
    assert all(one["by"] for one in found)


def test_a_store_without_a_ledger_is_not_changed_by_readers(sqlite_url: str, tmp_path: Path) -> None:
    with serve(Script(chunks=3)) as server, Recorder(sqlite_url) as recorder:
        assert ask(recorder.mount(requests.Session()), server.url, "hello").content
    file = tmp_path / "store.db"
    before = hashlib.sha256(file.read_bytes()).digest()
    for command in (["export", "--all"], ["verify"]):
        result = run(*command, "--store", sqlite_url)
        assert (result.exit_code, result.stderr) == (0, "")
    assert hashlib.sha256(file.read_bytes()).digest() == before


def test_who_may_only_read_is_warned_and_served(own_postgres: PostgresServer, tmp_path: Path) -> None:
    url = own_postgres.create_database()
    assert run("db", "upgrade", "--store", url).exit_code == 0
    made = recorded(url)
    import psycopg

    with psycopg.connect(url) as connection:
        connection.execute("CREATE ROLE auditor LOGIN")
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO auditor")
    result = run("export", made.other, "--store", url.replace("recorder@", "auditor@"))
    assert result.exit_code == 0
    assert "What of the others?" in result.stdout
    (line,) = result.stderr.splitlines()
    assert line.startswith("warning: this access is not recorded in the store: ")
    assert accesses(url) == []


@pytest.mark.parametrize("command", [["export", "nobody"], ["verify", "nobody"]])
def test_what_was_not_given_is_not_recorded(store_url: str, command: list[str]) -> None:
    recorded(store_url)
    assert run(*command, "--store", store_url).exit_code == 1
    assert accesses(store_url) == []


@pytest.mark.parametrize("here", [True, False])
def test_an_audit_is_recorded_where_that_is_asked_for_and_sealed_where_the_key_is(
    store_url: str, monkeypatch: pytest.MonkeyPatch, here: bool
) -> None:
    recorded(store_url)
    assert run("verify", "--store", store_url).exit_code == 0
    assert accesses(store_url) == []
    if not here:
        monkeypatch.setenv("XDG_DATA_HOME", "/nonexistent")
    with closing(open_store(store_url, write=False)) as store:
        size = store.ledger.size()
    verified = run("verify", "--record", "--store", store_url)
    assert verified.exit_code == 0
    assert ("it is recorded, and not sealed yet" in verified.stderr) is not here
    (found,) = accesses(store_url)
    assert (found["action"], found["of"], found["result"]) == ("verify", "everything", "0 findings")
    with closing(open_store(store_url, write=False)) as store:
        assert store.ledger.size() == size + here
        assert bool(store.ledger.unsealed(1)) is not here
    assert run("verify", "--store", store_url).exit_code == 0


def test_an_audit_that_cannot_be_recorded_says_so_by_its_exit_code(
    own_postgres: PostgresServer, tmp_path: Path
) -> None:
    url = own_postgres.create_database()
    assert run("db", "upgrade", "--store", url).exit_code == 0
    recorded(url)
    import psycopg

    with psycopg.connect(url) as connection:
        connection.execute("CREATE ROLE looker LOGIN")
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO looker")
    result = run("verify", "--record", "--store", url.replace("recorder@", "looker@"))
    assert result.exit_code == 2, result.stderr
    assert "error: that this was verified is not recorded: " in result.stderr
    assert accesses(url) == []
