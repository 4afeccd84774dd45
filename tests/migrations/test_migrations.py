"""The schema: from nothing to the newest, equal to what the code believes, refused when it differs."""

from __future__ import annotations

import logging
import os
import sqlite3
import subprocess
import sys
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from recorder.core.events import TYPE_NAMES
from recorder.errors import StaleSchema, StoreError
from recorder.projections.runner import project
from recorder.store import open_store, revisions, schema
from recorder.store.base import FeedCursor
from recorder.store.postgres_sessions import reading_engine, restamp, writing_engine
from recorder.store.projected import SqlProjected
from recorder.store.sqlite_file import writing_engine as sqlite_engine
from recorder.store.tables import metadata_for, records
from recorder.store.urls import parse_url
from tests.building import ExchangeBuilder
from tests.keeping import kept_exchange

ROOT = Path(__file__).parent.parent.parent


def engine_of(url: str) -> Engine:
    target = parse_url(url)
    return writing_engine(target) if target.path is None else sqlite_engine(target.path, "normal")


@pytest.fixture
def upgraded(store_url: str) -> str:
    schema.upgrade(store_url)
    return store_url


def test_the_newest_revision_is_the_one_that_the_code_names(absent_url: str) -> None:
    schema.upgrade(absent_url)
    with engine_of(absent_url).connect() as connection:
        script = ScriptDirectory.from_config(revisions.alembic_config(connection))
    assert script.get_heads() == [revisions.HEAD]


def test_the_code_and_the_schema_agree(upgraded: str) -> None:
    """``alembic check``: comparing the tables with the database finds nothing to do."""
    with engine_of(upgraded).connect() as connection, connection.begin():
        config = revisions.alembic_config(connection)
        config.attributes["metadata"] = metadata_for(connection.dialect.name)
        command.check(config)


def test_the_check_can_fail(upgraded: str) -> None:
    with engine_of(upgraded).connect() as connection, connection.begin():
        connection.exec_driver_sql("DROP INDEX exchange_rows_match")
        connection.exec_driver_sql("ALTER TABLE exchange_rows ADD COLUMN surplus INTEGER")
        config = revisions.alembic_config(connection)
        config.attributes["metadata"] = metadata_for(connection.dialect.name)
        with pytest.raises(Exception, match="New upgrade operations detected") as caught:
            command.check(config)
    assert "surplus" in str(caught.value)
    assert "exchange_rows_match" in str(caught.value)


def test_the_codes_of_the_types_are_those_of_the_code(upgraded: str) -> None:
    store = open_store(upgraded, write=False)
    with store.reading() as connection:
        rows = connection.exec_driver_sql("SELECT code, name FROM event_types").all()
    store.close()
    assert {row.code: row.name for row in rows} == TYPE_NAMES


def test_upgrading_twice_changes_nothing(store_url: str) -> None:
    schema.upgrade(store_url)
    assert schema.upgrade(store_url) == ()


def test_upgrading_an_empty_store_tells_what_was_done(absent_url: str, empty_postgres_url: str) -> None:
    assert schema.upgrade(absent_url) == ("0001", "0002", "0003", "0004", "0005")
    assert schema.upgrade(empty_postgres_url) == ("0001", "0002", "0003", "0004", "0005")


def test_rows_of_a_store_of_before_are_made_again(absent_url: str, empty_postgres_url: str) -> None:
    """0003 adds columns that only a fold of the events can fill."""
    built = ExchangeBuilder(1).request({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).completed()
    for url in (absent_url, empty_postgres_url):
        target = parse_url(url)
        schema.upgrade(url)
        with closing(open_store(url, write=True)) as store:
            store.append([built.opened], built.events)
            project(store, SqlProjected(store))
            expected = list(SqlProjected(store).exchanges())
        with engine_of(url).connect() as connection, connection.begin():
            as_of_0002(connection)
            assert revisions.pending(connection) == ("0003", "0004", "0005")
        assert schema.upgrade(url) == ("0003", "0004", "0005")
        assert schema.state(target) == ("0005", ())
        with closing(open_store(url, write=True)) as store:
            assert [row.thread_key for row in SqlProjected(store).exchanges()] == [None]
            project(store, SqlProjected(store))
            assert list(SqlProjected(store).exchanges()) == expected
            assert expected[0].thread_key is not None


def as_of_0002(connection: Connection) -> None:
    """Take away what 0003 and later ones bring."""
    as_of_0003(connection)
    indexes = ("thread", "opening_name", "model", "verdict", "status", "tools", "finish")
    for name in (*(f"exchange_rows_{index}" for index in indexes), "message_rows_follows"):
        connection.exec_driver_sql(f"DROP INDEX IF EXISTS {name}")
    for column in ("thread_key", "opening_name"):
        connection.exec_driver_sql(f"ALTER TABLE exchange_rows DROP COLUMN {column}")
    connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0002'")


def as_of_0003(connection: Connection) -> None:
    """Take away what 0004 and 0005 bring."""
    as_of_0004(connection)
    for table in ("events", "event_streams"):
        name, does = f"{table}_no_update BEFORE UPDATE ON {table}", "BEGIN SELECT RAISE(ABORT, 'append-only'); END"
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"DROP FUNCTION recorder_{table}_erased CASCADE")
            does = "FOR EACH ROW EXECUTE FUNCTION recorder_append_only()"
        else:
            connection.exec_driver_sql(f"DROP TRIGGER {table}_no_update")
        connection.exec_driver_sql(f"CREATE TRIGGER {name} {does}")
    for table in (*records.tables, "link_rows"):
        connection.exec_driver_sql(f"DROP TABLE {table}")
    connection.exec_driver_sql("DELETE FROM event_types WHERE code > 17")
    connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0003'")


def as_of_0004(connection: Connection) -> None:
    """Take away what 0005 brings."""
    for column in ("goes_on_from", "kept_as", "last_item"):
        connection.exec_driver_sql(f"DROP INDEX exchange_rows_{column}")
        connection.exec_driver_sql(f"ALTER TABLE exchange_rows DROP COLUMN {column}")
    connection.exec_driver_sql("DROP VIEW messages")
    connection.exec_driver_sql(view_of_0002(connection))
    connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0004'")


def view_of_0002(connection: Connection) -> str:
    """Return the statement that makes the view of messages as it was before 0005."""
    script = ScriptDirectory.from_config(revisions.alembic_config(connection)).get_revision("0002")
    assert script is not None
    sqlite = connection.dialect.name == "sqlite"
    (view,) = (view for view in script.module.VIEWS if "VIEW messages" in view)
    for word, meaning in (script.module.SQLITE_WORDS if sqlite else script.module.POSTGRES_WORDS).items():
        view = view.replace(word, meaning)
    return str(view if sqlite else view.replace("%", "%%"))


def messages_view(connection: Connection) -> object:
    """Return what the store says that the view of messages is."""
    sqlite = "SELECT sql FROM sqlite_master WHERE name = 'messages'"
    postgres = "SELECT pg_get_viewdef('messages'::regclass)"
    return connection.exec_driver_sql(sqlite if connection.dialect.name == "sqlite" else postgres).scalar()


def test_a_store_of_0004_is_upgraded_by_its_writer_and_its_rows_are_made_again(
    absent_url: str, empty_postgres_url: str
) -> None:
    """0005 adds what finds the exchanges of a conversation whose history the provider keeps, or is sent in pieces."""
    kept = kept_exchange(1), kept_exchange(2, previous_response_id="resp_1")
    for url in (absent_url, empty_postgres_url):
        schema.upgrade(url)
        with closing(open_store(url, write=True)) as store:
            for built in kept:
                store.append([built.opened], built.events)
            project(store, SqlProjected(store))
            expected = list(SqlProjected(store).exchanges())
        with engine_of(url).connect() as connection, connection.begin():
            view = messages_view(connection)
            as_of_0004(connection)
            assert messages_view(connection) != view
        with pytest.raises(StaleSchema, match=r"has schema 0004, not 0005"):
            open_store(url, write=False)
        if url == empty_postgres_url:
            assert schema.upgrade(url) == ("0005",)  # on a server that is never done by opening
        with closing(open_store(url, write=True)) as store:
            assert {row.kept_as for row in SqlProjected(store).exchanges()} == {None}
            project(store, SqlProjected(store))
            assert list(SqlProjected(store).exchanges()) == expected
            assert expected[0].goes_on_from == expected[1].kept_as is not None
        with engine_of(url).connect() as connection:
            assert messages_view(connection) == view


def test_several_upgrade_at_once(absent_url: str, empty_postgres_url: str) -> None:
    for url in (absent_url, empty_postgres_url):
        with ThreadPoolExecutor(6) as threads:
            results = list(threads.map(schema.upgrade, [url] * 6))
        assert sorted(results) == [()] * 5 + [("0001", "0002", "0003", "0004", "0005")]


@pytest.mark.parametrize("write", [True, False])
def test_an_empty_postgres_is_refused_with_what_to_do(empty_postgres_url: str, write: bool) -> None:
    with pytest.raises(StaleSchema, match=r"no recorder schema: run `recorder db upgrade --store postgresql://"):
        open_store(empty_postgres_url, write=write)


@pytest.mark.parametrize("write", [True, False])
def test_a_newer_schema_is_refused_with_what_to_do(upgraded: str, write: bool) -> None:
    with engine_of(upgraded).connect() as connection, connection.begin():
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StaleSchema, match=r"9999, which is newer than .*: upgrade recorder"):
        open_store(upgraded, write=write)
    with pytest.raises(StaleSchema, match="9999"):
        schema.upgrade(upgraded)


def test_an_older_schema_is_refused_by_readers(upgraded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if there were a revision 0006 already."""
    monkeypatch.setattr(revisions, "HEAD", "0006")
    with pytest.raises(StaleSchema, match=r"has schema 0005, not 0006: run `recorder db upgrade"):
        open_store(upgraded, write=False)


def test_a_migration_that_fails_leaves_nothing(
    absent_url: str, empty_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DDL is rolled back on both engines; what comes after finds an empty database and begins anew."""

    whole = revisions.migrate

    def migrate(connection: Connection) -> tuple[str, ...]:
        whole(connection)
        raise StoreError("the power went")

    monkeypatch.setattr(revisions, "migrate", migrate)
    for url in (absent_url, empty_postgres_url):
        with pytest.raises(StoreError, match="the power went"):
            schema.upgrade(url)
    monkeypatch.setattr(revisions, "migrate", whole)
    path = parse_url(absent_url).path
    assert path is not None
    left = sqlite3.connect(path)
    assert left.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    left.close()
    engine = reading_engine(parse_url(empty_postgres_url))
    with engine.connect() as connection:
        assert revisions.revision(connection) is None
    engine.dispose()
    for url in (absent_url, empty_postgres_url):
        assert schema.upgrade(url) == ("0001", "0002", "0003", "0004", "0005")
        open_store(url, write=True).close()


def test_a_developer_reaches_a_store_through_alembic_ini(upgraded: str) -> None:
    target = parse_url(upgraded)
    url = target.url.render_as_string(hide_password=False)
    run = [sys.executable, "-m", "alembic", "-c", str(ROOT / "alembic.ini")]
    for arguments in (["check"], ["current"]):
        done = subprocess.run(
            [*run, "-x", f"url={url}", *arguments], capture_output=True, text=True, cwd=ROOT, check=False
        )
        assert done.returncode == 0, done.stderr
    assert "0005" in done.stdout
    unnamed = subprocess.run([*run, "current"], capture_output=True, text=True, cwd=ROOT, check=False)
    assert unnamed.returncode == 1
    assert "name the store" in unnamed.stderr


def test_migrations_import_nothing_of_recorder() -> None:
    for path in (ROOT / "migrations" / "versions").glob("*.py"):
        text = path.read_text()
        assert "import recorder" not in text
        assert "from recorder" not in text


def test_migrations_are_found_in_the_package_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "recorder"
    (package / "store").mkdir(parents=True)
    monkeypatch.setattr(revisions, "__file__", str(package / "store" / "revisions.py"))
    with pytest.raises(StoreError, match="install it again"):
        revisions.migrations_path()
    (package / "migrations").mkdir()
    (package / "migrations" / "env.py").touch()
    assert revisions.migrations_path() == package / "migrations"


def test_opening_a_current_store_does_not_import_alembic(absent_url: str) -> None:
    schema.upgrade(absent_url)
    code = (
        "import sys; from recorder.store import open_store; "
        f"open_store({absent_url!r}, write=True).close(); sys.exit('alembic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], env={**os.environ}, check=False).returncode == 0


def test_a_restored_dump_is_stamped_anew(postgres_url: str) -> None:
    """Transaction ids from another, older server would hide their batches from the feed."""
    store = open_store(postgres_url, write=True)
    made = [ExchangeBuilder(number).request().completed() for number in range(1, 30)]
    for built in made:
        store.append([built.opened], built.events)
    with store.writing() as connection:
        connection.exec_driver_sql("UPDATE batches SET xid = (xid::text::bigint + 10000000000)::text::xid8")
        connection.exec_driver_sql("INSERT INTO projection_checkpoints VALUES ('exchanges', 1, 1)")
    assert store.feed(FeedCursor(), 100)[0] == []
    assert schema.upgrade(postgres_url) == ()
    seen, cursor = [], FeedCursor()
    while True:
        events, cursor = store.feed(cursor, 7)
        if not events:
            break
        seen += events
    assert [event.hash for event in seen] == [event.hash for built in made for event in built.events]
    with store.writing() as connection:
        assert not restamp(connection)
        assert connection.exec_driver_sql("SELECT count(*) FROM projection_checkpoints").scalar() == 0
    store.close()


#: A program that logs all there is at INFO makes a store, and then migrates a database of its own.
LOGGING = """
import logging, sys
from recorder.store import open_store
logging.basicConfig(level=logging.INFO, format="%(name)s %(message)s", stream=sys.stdout)
open_store(sys.argv[1], write=True).close()
print("the store is there")
import sqlalchemy
from alembic.runtime.migration import MigrationContext
with sqlalchemy.create_engine("sqlite://").connect() as connection:
    MigrationContext.configure(connection)
print(*(logging.getLogger(name).filters for name in logging.root.manager.loggerDict))
"""


def test_making_a_store_says_nothing_in_the_log_of_the_program(absent_url: str) -> None:
    run = [sys.executable, "-c", LOGGING, absent_url]
    printed = subprocess.run(run, check=True, capture_output=True, text=True, cwd=ROOT).stdout.splitlines()
    assert printed[0] == "the store is there"
    assert printed[1].startswith("alembic.runtime.migration Context impl SQLiteImpl")
    assert set(printed[-1].split()) == {"[]"}


def test_a_migration_of_the_program_s_own_at_the_same_moment_is_logged(
    absent_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    whole = command.upgrade

    def upgrade(*arguments: Any) -> None:
        def tell() -> None:
            logging.getLogger("alembic.runtime.migration").info("theirs")

        theirs = threading.Thread(target=tell)
        theirs.start()
        theirs.join()
        logging.getLogger("alembic.runtime.migration").warning("something is wrong with ours")
        whole(*arguments)

    monkeypatch.setattr(command, "upgrade", upgrade)
    with caplog.at_level(logging.INFO):
        schema.upgrade(absent_url)
    assert [record.message for record in caplog.records] == ["theirs", "something is wrong with ours"]


def test_an_installed_wheel_brings_its_migrations(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path / "dist"), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    [wheel] = (tmp_path / "dist").glob("*.whl")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    assert {path.name for path in site.iterdir() if not path.name.endswith(".dist-info")} == {"recorder"}
    code = (
        "import recorder; from recorder.store import open_store, revisions; "
        "open_store('sqlite:///x.db', write=True).close(); print(recorder.__file__, revisions.migrations_path())"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(site)}, check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == [str(site / "recorder" / "__init__.py"), str(site / "recorder" / "migrations")]
