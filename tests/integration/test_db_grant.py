"""``recorder db grant``: a writer that changes nothing, an auditor that only reads, on a real server."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
import requests
from sqlalchemy.engine import make_url

from recorder import Recorder
from recorder.clock import SystemClock
from recorder.errors import ConfigurationError, StoreError
from recorder.ledger import keys
from recorder.projections.runner import project, rebuild_all
from recorder.store import open_store
from recorder.store.base import Anchored, SpoolMark
from recorder.store.projected import SqlProjected
from recorder.store.roles import TABLES, VIEWS, WRITER, grant
from tests.building import ExchangeBuilder, delta, identity
from tests.commands import STREAMED, answered, asking, fill, run, told
from tests.contract.journaled import journal, link
from tests.contract.sealed import ORIGIN, head
from tests.loopback import Script, serve
from tests.recorded import ask

NEVER = sorted(TABLES - {name for name, allowed in WRITER.items() if "DELETE" in allowed})


class Roles:
    """Two roles that log in, for one test."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.writer, self.auditor = (f"{name}_{secrets.token_hex(4)}" for name in ("writer", "auditor"))

    def as_role(self, role: str) -> str:
        return make_url(self.url).set(username=role).render_as_string(hide_password=False)


@pytest.fixture
def roles(postgres_url: str) -> Iterator[Roles]:
    made = Roles(postgres_url)
    both = (made.writer, made.auditor)
    with psycopg.connect(postgres_url, autocommit=True) as owner:
        for role in both:
            owner.execute(f"CREATE ROLE {role} LOGIN")  # type: ignore[arg-type]  # a name of our own
        yield made
        for role in both:
            owner.execute(f"DROP OWNED BY {role}")  # type: ignore[arg-type]  # a name of our own
            owner.execute(f"DROP ROLE {role}")  # type: ignore[arg-type]  # a name of our own


def granted(roles: Roles) -> Roles:
    with closing(open_store(roles.url, write=True)) as store:
        store.ledger.found(ORIGIN)
    done = run("db", "grant", "--writer", roles.writer, "--auditor", roles.auditor, "--store", roles.url)
    assert done.exit_code == 0, done.stderr
    return roles


def everything(url: str, at: int = 0) -> None:
    """Do all that recording, draining, projecting, sealing and anchoring does to a store."""
    calls = delta(tool_calls=[{"index": 0, "id": "c-1", "function": {"name": "quote", "arguments": "{}"}}])
    first, second = answered(at + 1, ("user", "a")), asking(at + 2, ("user", "b")).response(headers=STREAMED)
    second.sse(calls, delta(finish="tool_calls")).completed()
    more = [journal(at + 3, at + 1, at + 2), link(at + 4, at + 1), ExchangeBuilder(at + 5)]
    more[2].event("conversation_named", {"name": "desk"})
    with closing(open_store(url, write=True)) as store:
        spool, half = identity(at + 99), len(first.events) // 2
        store.append([first.opened], first.events[:half], SpoolMark(spool, 48, 100))
        projected = SqlProjected(store)
        project(store, projected)
        store.append([], first.events[half:], SpoolMark(spool, 100, 200))
        for one in (second, *more):
            store.append([one.opened], one.events)
        more[2].event("tags_set", {"tags": {"bot": "elion"}})
        store.append([], more[2].events[1:])
        project(store, projected)
        rebuild_all(store, projected)
        store.forget_spool(spool)
        size = store.ledger.size() + 2
        store.ledger.append([head(at + 1), head(at + 2)], 1)
        store.ledger.add_checkpoint(size, "note", 1)
        store.ledger.add_anchor(Anchored(identity(at + 1), size, "file:/x", 1, b"evidence"))


def test_a_program_records_as_writer_and_an_auditor_reads(roles: Roles, tmp_path: Path) -> None:
    granted(roles)
    keys.create(ORIGIN, SystemClock())
    writer, auditor = roles.as_role(roles.writer), roles.as_role(roles.auditor)
    with serve(Script(chunks=5)) as server, Recorder(writer, anchors=[f"directory:{tmp_path}"]) as recorder:
        session = recorder.mount(requests.Session())
        with recorder.conversation("desk", tags={"bot": "elion"}):
            response = ask(session, server.url, "buy or hold?")
            assert response.content
        assert recorder.seal(response) is not None
        recorder.link(kind="order", id="7", exchange=response)

    for command in (
        ("list", "--json"),
        ("show", "desk", "--json"),
        ("verify", "--json"),
        ("stats",),
        ("search", "hold"),
        ("events", "desk", "--json"),
        ("db", "status"),
        ("db", "check"),
        ("anchor", "--list"),
        ("db", "copy", "--to", f"sqlite:///{tmp_path / 'copy.db'}"),
        ("export", "desk", "--format", "markdown"),
    ):
        done = run(*command, "--store", auditor)
        assert done.exit_code == 0, (command, done.stderr)
    assert len(run("list", "--json", "--store", auditor).stdout.splitlines()) == 1
    verified = json.loads(run("verify", "--json", "--store", auditor).stdout)
    assert verified["findings"] == []
    with closing(open_store(auditor, write=False)) as store:
        assert store.ledger.size() >= 3
        assert list(store.ledger.anchors())


def test_a_writer_cannot_change_what_was_recorded(roles: Roles) -> None:
    granted(roles)
    everything(roles.as_role(roles.writer))
    with psycopg.connect(roles.as_role(roles.writer), autocommit=True) as connection:
        for table in NEVER:
            query = "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum DESC"
            (column,) = connection.execute(query, (table,)).fetchone() or ("",)
            for statement in (f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}", f"TRUNCATE {table}"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement)  # type: ignore[arg-type]  # names of our own


def test_a_writer_cannot_switch_the_triggers_off(roles: Roles) -> None:
    granted(roles)
    for statement in (
        "ALTER TABLE events DISABLE TRIGGER ALL",
        "DROP TRIGGER events_no_update ON events",
        "DROP TABLE events",
        "SET session_replication_role = replica",
        f"GRANT UPDATE ON events TO {roles.writer}",
    ):
        with psycopg.connect(roles.as_role(roles.writer)) as connection:
            if statement.startswith("GRANT"):
                connection.execute(statement)  # type: ignore[arg-type]  # a name of our own; a warning, nothing granted
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute("UPDATE events SET flags = 0")
                continue
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)  # type: ignore[arg-type]  # as above


def test_an_auditor_cannot_write_at_all(roles: Roles) -> None:
    granted(roles)
    everything(roles.url)
    with psycopg.connect(roles.as_role(roles.auditor), autocommit=True) as connection:
        for table in sorted(TABLES):
            connection.execute(f"SELECT * FROM {table}")  # type: ignore[arg-type]  # a name of our own
            for statement in (f"DELETE FROM {table}", f"INSERT INTO {table} DEFAULT VALUES", f"TRUNCATE {table}"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement)  # type: ignore[arg-type]  # as above
    with pytest.raises(StoreError, match="lacks a privilege"):
        fill(roles.as_role(roles.auditor), answered(50, ("user", "x")))


@pytest.mark.parametrize(
    "command",
    [
        ["hold", "place", "--all", "--ground", "g"],
        ["retention", "set", "--days", "1"],
        ["anchor", "--anchor", "file:{folder}/notes"],
        ["keys", "rotate"],
        ["db", "rebuild"],
    ],
    ids=" ".join,
)
def test_who_may_only_read_is_told_in_one_line_what_to_connect_as(
    roles: Roles, command: list[str], tmp_path: Path
) -> None:
    assert run("keys", "init", "--origin", ORIGIN, "--store", roles.url).exit_code == 0
    fill(roles.url, answered(1, ("user", "x")))
    granted(roles)
    given = [one.format(folder=tmp_path) for one in command]
    line = told(run(*given, "--store", roles.as_role(roles.auditor)), 2)
    assert "the user lacks a privilege" in line
    assert "connect as the owner of its tables, or as a writer" in line


def test_a_writer_has_no_right_that_it_does_not_need(roles: Roles) -> None:
    """Each taken away makes something fail."""
    granted(roles)
    writer = roles.as_role(roles.writer)
    everything(writer)
    needless = []
    with psycopg.connect(roles.url, autocommit=True) as owner:
        place = 1000
        for table, allowed in WRITER.items():
            for right in allowed.split(", "):
                owner.execute(f"REVOKE {right} ON {table} FROM {roles.writer}")  # type: ignore[arg-type]  # our names
                place += 1000
                try:
                    everything(writer, place)
                except StoreError as error:
                    assert "lacks a privilege" in str(error)  # noqa: PT017 - which of them raise is what is collected
                else:
                    needless.append((table, right))
                owner.execute(f"GRANT {right} ON {table} TO {roles.writer}")  # type: ignore[arg-type]  # our names
    assert needless == []
    everything(writer, 900_000)


def test_every_table_and_view_of_the_schema_is_thought_of(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as owner:
        kinds = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = ANY(%s)"
        tables = {name for (name,) in owner.execute(kinds, (["r", "p"],))}
        views = {name for (name,) in owner.execute(kinds, (["v", "m"],))}
    assert tables == TABLES
    assert views == VIEWS


def test_what_a_role_had_before_is_taken_away(roles: Roles) -> None:
    with psycopg.connect(roles.url, autocommit=True) as owner:
        owner.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {roles.writer}, {roles.auditor}")  # type: ignore[arg-type]  # our names
        owner.execute(f"GRANT UPDATE (flags) ON events TO {roles.writer}")  # type: ignore[arg-type]  # our names
    granted(roles)
    granted(roles)
    with psycopg.connect(roles.as_role(roles.writer)) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("UPDATE events SET flags = 0")


@pytest.mark.parametrize("way", ["superuser", "owner", "member", "public"])
def test_a_role_that_could_change_events_all_the_same_is_refused(way: str, roles: Roles) -> None:
    table_owner = make_url(roles.url).username
    statements: dict[str, tuple[str, str]] = {
        "superuser": (f"ALTER ROLE {roles.writer} SUPERUSER", f"ALTER ROLE {roles.writer} NOSUPERUSER"),
        "owner": (f"ALTER TABLE events OWNER TO {roles.writer}", f"ALTER TABLE events OWNER TO {table_owner}"),
        "member": (f"GRANT {table_owner} TO {roles.writer}", f"REVOKE {table_owner} FROM {roles.writer}"),
        "public": ("GRANT DELETE ON events TO PUBLIC", "REVOKE DELETE ON events FROM PUBLIC"),
    }
    before, after = statements[way]
    with psycopg.connect(roles.url, autocommit=True) as owner:
        owner.execute(before)  # type: ignore[arg-type]  # names of our own
        try:
            line = told(run("db", "grant", "--writer", roles.writer, "--store", roles.url), 2)
            assert f"the role {roles.writer} could still " in line
            may = "SELECT has_table_privilege(%s, 'spools', 'UPDATE')"
            if way == "public":  # all or nothing: what was granted before the refusal is taken back
                assert owner.execute(may, (roles.writer,)).fetchone() == (False,)
        finally:
            owner.execute(after)  # type: ignore[arg-type]  # as above


def test_a_role_that_is_not_there_is_made_without_a_login(roles: Roles) -> None:
    name = f'odd "role {secrets.token_hex(4)}'
    done = run("db", "grant", "--auditor", name, "--store", roles.url)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith(f"{name}, made without a login: only reads, in postgresql://")
    with psycopg.connect(roles.url, autocommit=True) as owner:
        query = "SELECT rolcanlogin, rolsuper, rolcreaterole FROM pg_roles WHERE rolname = %s"
        assert owner.execute(query, (name,)).fetchone() == (False, False, False)
        quoted = psycopg.sql.Identifier(name)
        owner.execute(psycopg.sql.SQL("GRANT {} TO {}").format(quoted, psycopg.sql.Identifier(roles.auditor)))
        assert run("list", "--store", roles.as_role(roles.auditor)).exit_code == 0
        owner.execute(psycopg.sql.SQL("DROP OWNED BY {}").format(quoted))
        owner.execute(psycopg.sql.SQL("DROP ROLE {}").format(quoted))


def test_who_may_not_grant_is_told(roles: Roles) -> None:
    granted(roles)
    line = told(run("db", "grant", "--auditor", roles.auditor, "--store", roles.as_role(roles.writer)), 2)
    assert "connect as the owner of the tables" in line
    line = told(run("db", "grant", "--auditor", "nobody_yet", "--store", roles.as_role(roles.writer)), 2)
    assert "connect as the owner of the tables" in line


def test_sqlite_knows_no_roles(sqlite_url: str) -> None:
    fill(sqlite_url)
    line = told(run("db", "grant", "--writer", "bot", "--store", sqlite_url), 2)
    assert "is a SQLite file, which knows no roles: give its file to one user, copies to auditors" in line


def test_what_is_asked_for_has_to_make_sense(postgres_url: str, empty_postgres_url: str, tmp_path: Path) -> None:
    assert "there is no role to grant to" in told(run("db", "grant", "--store", postgres_url), 2)
    twice = ("--writer", "bot", "--auditor", "bot", "--store", postgres_url)
    assert "cannot be writer and auditor at once" in told(run("db", "grant", *twice), 2)
    assert "recorder db upgrade" in told(run("db", "grant", "--writer", "bot", "--store", empty_postgres_url), 2)
    with pytest.raises(ConfigurationError, match="is a cassette"):
        grant(f"{tmp_path}/c.jsonl", auditor="bot")
