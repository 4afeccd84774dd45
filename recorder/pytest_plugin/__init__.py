"""The plugin of pytest: recorded conversations in tests, replayed without a network.

::

    def test_the_bot_buys(recorded_session):
        assert decide(recorded_session, QUESTION) == Order("EURUSD", "buy", 15_000)

``pytest --recorder-mode=once`` records what is not recorded yet, ``pytest`` replays it. This module is imported by
every run of pytest where recorder is installed: what records and replays is imported by the tests that use it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

import pytest

from recorder.pytest_plugin.collected import Collected
from recorder.pytest_plugin.given_faults import are_several, as_played, check_fault, faults_of, told_fault
from recorder.pytest_plugin.hooks import RECORDING, Hooks, fail_at_the_end, outcome
from recorder.pytest_plugin.marking import MARKER, marked
from recorder.pytest_plugin.run import Run
from recorder.pytest_plugin.settings import Configured, add_options

if TYPE_CHECKING:
    import requests

    from recorder import VirtualClock
    from recorder.pytest_plugin.per_test import Recording

_HOOKS: Final = pytest.StashKey[Hooks]()
_HELP: Final = (
    f"{MARKER}(cassette=None, *, mode, match, allow_repeats, redact, fault, pace, clock, verify, unplayed, expired, "
    "max_age, block_network, allowed_hosts): answered from a cassette, which `pytest --recorder-mode=once` records"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare ``--recorder-mode`` and the settings."""
    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Check the settings; nothing is opened."""
    config.addinivalue_line("markers", _HELP)
    configured = Configured(config)
    collected = Collected(config, configured.places)
    hooks = config.stash[_HOOKS] = Hooks(config, configured, Run(config, collected), collected)
    config.pluginmanager.register(hooks, "recorder-hooks")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once for each of the faults that its marker gives."""
    fixture, item = "recorder_fault", metafunc.definition
    if fixture not in metafunc.fixturenames:
        return
    try:
        name, given = marked(item)
    except pytest.UsageError:
        return  # its setup says so
    fault = given.get("fault")
    if not are_several(fault):
        return
    from recorder.errors import RecorderError

    try:
        check_fault("", fault)
        cassette = item.config.stash[_HOOKS].configured.path_of(item, name, given)
    except pytest.UsageError:
        return  # its setup says so
    try:
        metafunc.parametrize(fixture, faults_of(fault, cassette), ids=told_fault, indirect=True)
    except RecorderError as error:
        told = pytest.UsageError(f"{item.nodeid}: {error}") if cassette.exists() else error
        metafunc.parametrize(fixture, [told], ids=["no-faults" if cassette.exists() else "not-recorded"], indirect=True)


@pytest.fixture(scope="session")
def recorder_config() -> Mapping[str, Any]:
    """Arguments of ``recorded(...)`` for all tests that see this fixture; a ``conftest.py`` has its own."""
    return {}


@pytest.fixture
def recorder_fault(request: pytest.FixtureRequest, recorder_config: Mapping[str, Any]) -> Any:
    """The fault with which this test is run; None where it has none."""
    fault = getattr(request, "param", None)
    if isinstance(fault, Exception):
        if request.config.stash[_HOOKS].configured.records and not isinstance(fault, pytest.UsageError):
            pytest.skip("the answer that goes wrong here is only being recorded: run pytest once more")
        pytest.fail(f"recorder: {fault}", pytrace=False)
    given = {**recorder_config, **marked(request.node)[1]}.get("fault")
    try:
        check_fault(f" of {request.node.nodeid}", given)
    except pytest.UsageError as error:
        pytest.fail(f"recorder: {error}", pytrace=False)
    if fault is None and are_several(given):
        pytest.fail(
            "recorder: faults cannot be parametrised here: name the fixture among the arguments of a test function "
            "(not of a unittest.TestCase, nor by request.getfixturevalue), or give one fault",
            pytrace=False,
        )
    if fault is not None or given is None:
        return fault
    return as_played(given)


@pytest.fixture
def recorded_clock() -> VirtualClock:
    """A :class:`~recorder.VirtualClock` for this test: the recorded gaps pass on it, in no time."""
    from recorder import VirtualClock

    return VirtualClock()


@pytest.fixture
def recording(
    request: pytest.FixtureRequest, recorder_config: Mapping[str, Any], recorder_fault: Any
) -> Iterator[Recording]:
    """The recording of this test, for programs that build their own sessions and clients.

    ``recording.mount(session)``, ``Client(transport=recording.httpx_transport())``.
    """
    from recorder.errors import RecorderError
    from recorder.pytest_plugin.per_test import Recording

    item, hooks = request.node, request.config.stash[_HOOKS]
    try:
        settings, path = hooks.configured.of(item, recorder_config), hooks.configured.cassette_of(item)
        clock = request.getfixturevalue("recorded_clock") if "recorded_clock" in request.fixturenames else None
        made = Recording(item.nodeid, path, settings, hooks.run, fault=recorder_fault, clock=clock)
    except (RecorderError, pytest.UsageError) as error:
        raise pytest.fail.Exception(f"recorder: {error}", pytrace=False) from None
    item.stash[RECORDING] = made
    hooks.guarding.decide(item, settings, sends=made.is_recording)
    try:
        yield made
    finally:
        try:
            made.close(outcome(item))
        except RecorderError as error:
            fail_at_the_end(item, f"recorder: {error}")
    if late := made.complaint(hooks.guarding.blocked()):
        fail_at_the_end(item, late)


@pytest.fixture
def recorded_session(recording: Recording) -> Iterator[requests.Session]:
    """A ``requests.Session`` that is answered from this test's cassette, or recorded into it."""
    import requests

    with requests.Session() as session:
        yield recording.mount(session)


@pytest.fixture
def recorded_client(request: pytest.FixtureRequest, recording: Recording) -> Iterator[Any]:
    """A ``Client`` of httpx or httpx2 that is answered from this test's cassette, or recorded into it."""
    with recording.client(_httpx(request.config), is_async=False) as client:
        yield client


@pytest.fixture
def recorded_async_client(request: pytest.FixtureRequest, recording: Recording) -> Any:
    """An ``AsyncClient`` of httpx or httpx2; the test may close it, and need not."""
    return recording.client(_httpx(request.config), is_async=True)


def _httpx(config: pytest.Config) -> ModuleType:
    """Return the library of the clients: the one that is set, imported, or installed.

    :raises pytest.UsageError: there are two, or none.
    """
    names = ("httpx", "httpx2")
    if named := config.stash[_HOOKS].configured.httpx:
        return importlib.import_module(named)
    imported = [name for name in names if name in sys.modules]
    if len(imported) > 1:
        raise pytest.UsageError("both httpx and httpx2 are imported: set recorder_httpx to one of them")
    for name in imported or names:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:
            continue
    raise pytest.UsageError("recorded_client needs httpx or httpx2: install one, or use recorded_session")
