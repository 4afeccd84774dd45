"""Stores for tests: real SQLite files, a real Postgres. Nothing is skipped when one cannot be had."""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import coverage
import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy.engine import make_url

from recorder.projections.runner import NAME
from recorder.store import open_store
from recorder.store.projected import SqlProjected
from recorder.store.schema import upgrade
from tests.postgres_server import GivenServer, PostgresServer, any_server
from tests.sampling import leave_parts, mark_what_is_left
from tests.tracing import be_patient
from tests.tsa import Authority, Served, serving

ENGINES = ("sqlite", "postgresql")
#: Gets an engine, and what fills an empty store; returns the URL of the filled one.
Sharing = Callable[[str, Callable[[str], None]], str]

# Made-up inputs of each property: a sample by default, so that the suite stays short;
# ``--hypothesis-profile=long`` takes its time. How long one takes says something of the machine, not of the code.
PATIENT = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("sample", max_examples=30, **PATIENT)
settings.register_profile("long", max_examples=2000, **PATIENT)
settings.load_profile("sample")
be_patient()
gc.disable()  # until all is collected: nothing of that is garbage, and to search it takes a tenth of the time
if "PYTEST_XDIST_WORKER" in os.environ:  # what a test starts is not measured: that took more time than the tests do
    for variable in [name for name in os.environ if name.startswith("COVERAGE_")]:
        del os.environ[variable]


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Have each worker compile a share of all tests, and of what they import, before it collects all of them.

    Where nothing is compiled yet, as in a fresh clone, every worker would else compile everything at the same time.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if not worker or session.config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        return
    number, workers = int(worker.removeprefix("gw")), int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    root = Path(__file__).parents[1]
    files = sorted(Path(__file__).parent.rglob("test_*.py"))
    for file in files[len(files) * number // workers : len(files) * (number + 1) // workers]:
        with suppress(Exception, pytest.skip.Exception):  # collecting tells of it
            importlib.import_module(".".join(file.relative_to(root).with_suffix("").parts))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """Have what coverage measured written while a worker is waited for: one that takes 10 s to end is killed."""
    if (measuring := coverage.Coverage.current()) is not None:
        measuring.stop()
        measuring.save()
        atexit.unregister(measuring._atexit)  # which would write it again, and be killed over it


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave most cases of the tests of whole programs to ``-m thorough``, but for what was asked for by name."""
    if not config.option.keyword:
        places = [config.invocation_params.dir / argument.partition("::")[0] for argument in config.args]
        mark_what_is_left(items, (place.resolve() for place in places if place.is_file()))
    if part := os.environ.get("TESTS_PART"):  # "K of N"
        others = leave_parts(items, *map(int, part.split(" of ")))
        config.hook.pytest_deselected(items=others)
        left = set(others)
        items[:] = [item for item in items if item not in left]


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Leave what was imported and collected out of every later search for garbage: half a million objects."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("homes")


@pytest.fixture(autouse=True)
def own_home(homes: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for every test, and for the processes that it starts: spools, the fingerprint key."""
    home = Path(tempfile.mkdtemp(dir=homes))  # pytest's own would look through all that were made before
    for variable in ("XDG_STATE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(variable, str(home))
    for variable in (
        "RECORDER_STORE",
        "RECORDER_OFF",
        "RECORDER_FINGERPRINT_KEY",
        "RECORDER_ANCHORS",
        "RECORDER_SIGNING_KEY",
        "RECORDER_PAYLOAD_KEYS",
        "PYTEST_ADDOPTS",  # what is asked of this run is not asked of those that tests begin
    ):
        monkeypatch.delenv(variable, raising=False)
    return home


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer | GivenServer]:
    """A running Postgres, one for each worker of pytest-xdist."""
    server = any_server()
    yield server
    server.dispose()


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A running Postgres for one test alone, which may stop, kill and restart it."""
    server = PostgresServer()
    try:
        yield server.start()
    finally:
        server.dispose()


@pytest.fixture
def empty_postgres_url(postgres_server: PostgresServer | GivenServer) -> Iterator[str]:
    """A fresh database without any table."""
    url = postgres_server.create_database()
    yield url
    postgres_server.drop_database(url)


@pytest.fixture(scope="session")
def made_store(postgres_server: PostgresServer | GivenServer) -> Iterator[str]:
    """The name of a database that is a store without any event: to copy it takes half of what to migrate takes."""
    url = postgres_server.create_database()
    upgrade(url)
    yield str(make_url(url).database)
    postgres_server.drop_database(url)


@pytest.fixture
def postgres_url(postgres_server: PostgresServer | GivenServer, made_store: str) -> Iterator[str]:
    """A fresh Postgres store, its schema up to date."""
    url = postgres_server.create_database(made_store)
    yield url
    postgres_server.drop_database(url)


@pytest.fixture(scope="session")
def made_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite store without any event."""
    file = tmp_path_factory.mktemp("made") / "store.db"
    upgrade(f"sqlite:///{file}")
    assert not Path(f"{file}-wal").exists()
    return file


@pytest.fixture
def sqlite_url(tmp_path: Path, made_file: Path) -> str:
    """The URL of a fresh SQLite store, its schema up to date."""
    shutil.copy(made_file, tmp_path / "store.db")
    return f"sqlite:///{tmp_path}/store.db"


@pytest.fixture
def absent_url(tmp_path: Path) -> str:
    """The URL of a SQLite store that does not exist yet."""
    return f"sqlite:///{tmp_path}/store.db"


@pytest.fixture
def sealed_url(store_url: str) -> str:
    """A store with a ledger, whose key is here; once for each engine."""
    from tests.sealing import founded  # with all that signs and checks, which most tests do not need

    return founded(store_url)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Who makes time stamps: keys and certificates of its own."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def tsa(authority: Authority) -> Iterator[Served]:
    """The same, answering on this machine."""
    with serving(authority) as served:
        yield served


@pytest.fixture(params=ENGINES)
def store_url(request: pytest.FixtureRequest) -> str:
    """A store's URL, once for each engine; fresh for every test."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


@pytest.fixture(scope="module")
def shared_store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sharing]:
    """Makes a store of an engine, and fills it, for all tests of a module: none of them has changed it at the end."""
    databases: list[str] = []
    filled: dict[str, object] = {}

    def state(url: str) -> object:
        with closing(open_store(url, write=False)) as store:
            return store.counts(), SqlProjected(store).checkpoint(NAME)

    def made(engine: str, fill: Callable[[str], None]) -> str:
        if engine == "sqlite":
            file = tmp_path_factory.mktemp("shared") / "store.db"
            shutil.copy(request.getfixturevalue("made_file"), file)
            url = f"sqlite:///{file}"
        else:
            like: str = request.getfixturevalue("made_store")
            url = request.getfixturevalue("postgres_server").create_database(like)
            databases.append(url)
        fill(url)
        filled[url] = state(url)
        return url

    yield made
    after = {url: state(url) for url in filled}
    for url in databases:
        request.getfixturevalue("postgres_server").drop_database(url)
    assert after == filled
