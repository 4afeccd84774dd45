"""What happens around each recorded test, and at the end of a run."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import pytest

from recorder.pytest_plugin.collected import Collected
from recorder.pytest_plugin.guarding import Guarding
from recorder.pytest_plugin.marking import MARKER, is_recorded, marked
from recorder.pytest_plugin.run import Run
from recorder.pytest_plugin.settings import Configured

if TYPE_CHECKING:
    from recorder.pytest_plugin.attempts import Outcome
    from recorder.pytest_plugin.per_test import Recording

RECORDING: Final = pytest.StashKey[Any]()  # a Recording
_OUTCOME: Final = pytest.StashKey["Outcome"]()
_SET_UP: Final = pytest.StashKey[bool]()  # its setup has not failed
_COMPLAINT: Final = pytest.StashKey[str]()  # why the test fails, whatever its own outcome was
_WORKER_OUTPUT: Final = "recorder"


def outcome(item: pytest.Item) -> Outcome:
    """Return what has become of a test so far; a failure that is expected is as good as a success."""
    return item.stash.get(_OUTCOME, "failed")


def fail_at_the_end(item: pytest.Item, told: str) -> NoReturn:
    """Fail a test while its fixtures are torn down, also where others of them fail too, or it is expected to fail."""
    item.stash[_COMPLAINT] = told
    pytest.fail(told, pytrace=False)


def _told_by(error: BaseException | None) -> str:
    """Return what the plugin fails a test for, where the error with which a phase of it has ended is that."""
    told = error.msg if isinstance(error, pytest.fail.Exception) else None
    return told if isinstance(told, str) and told.startswith("recorder: ") else ""


class Hooks:
    """The hooks of one run.

    :ivar configured: the settings.
    :ivar run: what the run knows as a whole.
    :ivar guarding: when the network is blocked.
    """

    def __init__(self, config: pytest.Config, configured: Configured, run: Run, collected: Collected) -> None:
        self._config = config
        self.configured = configured
        self.run = run
        self.guarding = Guarding(run.findings)
        self._collected = collected
        self._told: list[str] = []
        self._lost_workers = False

    def pytest_report_header(self) -> str | None:
        """Say in which mode recorded tests run, where it is not the usual one."""
        configured = self.configured
        if configured.asked is not None:
            return f"recorder: mode {configured.asked}"
        if configured.mode == "none":
            return None
        return "recorder: mode none, since CI is set" if configured.in_ci else f"recorder: mode {configured.mode}"

    # What is collected

    def pytest_collectstart(self, collector: pytest.Collector) -> None:
        """Note which modules are collected: cassettes of others are not judged."""
        self._collected.began(collector)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note which of them could not be."""
        if report.failed or report.skipped:
            self._collected.failed(report.nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Note the cassettes of all tests, also of those that are left out afterwards."""
        alike: dict[str, Path] = {}
        for item in items:
            self._collected.saw(item)
            path = self._cassette(item)
            if path is not None:
                self.run.findings.named.add(str(path))
                self._collected.has(item, path)
                other = alike.setdefault(str(path).casefold(), path)
                if other != path:
                    raise pytest.UsageError(
                        f"{item.nodeid}: its cassette {path.name} and {other.name} are one file where upper and lower "
                        'case are the same: name one of them, as in @pytest.mark.recorded("another-name")'
                    )

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note which cassettes the tests use that will run."""
        recorded = [item for item in session.items if is_recorded(item)]
        self.run.expect(path for item in recorded if (path := self._cassette(item)) is not None)
        if self.configured.blocks == "all" or (recorded and self.configured.blocks != "off"):
            self.guarding.watch()

    def _cassette(self, item: pytest.Item) -> Path | None:
        """Return the cassette of a recorded test; None where its marker is wrong, which its setup tells."""
        try:
            return self.configured.cassette_of(item) if is_recorded(item) else None
        except pytest.UsageError:
            module = item.getparent(pytest.Module)
            self._collected.failed(module.nodeid if module is not None else "")
            return None

    # Around a test

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Find out whether a test has a network."""
        if is_recorded(item) or self.configured.blocks == "all":
            try:
                settings = self.configured.of(item)
                self.configured.cassette_of(item)
            except pytest.UsageError as error:
                raise pytest.fail.Exception(f"recorder: {error}", pytrace=False) from None
            self.guarding.decide(item, settings, sends=False)
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Generator[None, Any, Any]:
        """Block the network for what is made for one test; a server for several of them may be started."""
        with self.guarding.making(fixturedef, request.node):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Fail a test whose requests were missed, whatever it has made of that."""
        try:
            with self.guarding.closed(item):
                result = yield
        except BaseException:
            if told := self._complaint(item):
                item.stash[_COMPLAINT] = told
                item.add_report_section("call", "recorder", told)
            raise
        if told := self._complaint(item):
            item.stash[_COMPLAINT] = told
            pytest.fail(told, pytrace=False)
        recording: Recording | None = item.stash.get(RECORDING, None)
        if recording is None:
            self._require_no_fault(item)
        else:
            told, warnings = recording.check()
            for each in warnings:
                item.warn(pytest.PytestWarning(each))
            if told:
                pytest.fail(told, pytrace=False)
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Let nothing pass while what was made for the test alone is torn down, either."""
        if not item.stash.get(_SET_UP, False):
            self.guarding.blocked()  # its setup has failed by it, and said so
        with self.guarding.closed(item):
            result = yield
        if blocked := self.guarding.blocked():
            from recorder.pytest_plugin.messages import told_blocked

            pytest.fail(told_blocked(blocked), pytrace=False)
        return result

    @staticmethod
    def _require_no_fault(item: pytest.Item) -> None:
        """Fail a test with a fault that nothing has played; one that asks for the fault plays it by itself."""
        names: Sequence[str] = getattr(item, "fixturenames", ())
        if item.get_closest_marker(MARKER) is None or "recorder_fault" in names:
            return
        if marked(item)[1].get("fault") is not None:
            told = item.stash[_COMPLAINT] = (
                f"recorder: {item.nodeid}: its marker has a fault, and nothing is played in it: use a fixture, as "
                "recorded_session, or give recorder_fault to a Player"
            )
            pytest.fail(told, pytrace=False)

    def _complaint(self, item: pytest.Item) -> str:
        recording: Recording | None = item.stash.get(RECORDING, None)
        blocked = self.guarding.blocked()
        if recording is not None:
            return recording.complaint(blocked)
        if not blocked:
            return ""
        from recorder.pytest_plugin.messages import told_blocked

        return told_blocked(blocked)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Note whether a test has passed; a miss fails it, be it swallowed, skipped or expected to fail."""
        report = yield
        if call.when == "setup":
            item.stash[_SET_UP] = not report.failed
            item.stash[_COMPLAINT] = "" if report.passed or report.failed else self._complaint(item)
            item.stash[_OUTCOME] = "failed"  # an earlier try of the same test says nothing of this one
        told = item.stash.get(_COMPLAINT, "") or _told_by(None if call.excinfo is None else call.excinfo.value)
        if told and not report.failed:
            report.outcome, report.longrepr = "failed", told
            report.__dict__.pop("wasxfail", None)
        item.stash[_COMPLAINT] = ""
        if call.when == "call":
            item.stash[_OUTCOME] = "passed" if hasattr(report, "wasxfail") else report.outcome
        return report

    # At the end

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """Look for orphans; hand over what is known, or find out what is to be told."""
        findings = self.run.findings
        if self.run.begun:
            from recorder.pytest_plugin.placing import settle_all

            settle_all(self.run)
        if not self.run.is_controller:
            named = set(map(Path, findings.named))
            findings.orphans |= set(map(str, self._collected.orphans(named)))
        if (output := getattr(self._config, "workeroutput", None)) is not None:
            output[_WORKER_OUTPUT] = findings.as_data()
        elif self._conclude() and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        return (yield)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take over what a worker of pytest-xdist knows."""
        told = getattr(node, "workeroutput", {}).get(_WORKER_OUTPUT)
        self._lost_workers |= told is None
        if told is not None:
            self.run.findings.add(told)

    def _conclude(self) -> bool:
        """Find out what is to be told; return whether any of it is a failure."""
        configured, findings = self.configured, self.run.findings
        unplayed = {path: each.unplayed for path, each in findings.shared.items() if each.unplayed}
        # What another worker was still recording has taken its place by now.
        orphans = sorted(path for path in findings.orphans - findings.named if Path(path).exists())
        self._told += [f"recorded {line}" for line in findings.recorded] + findings.left + sorted(findings.late)
        if findings.shut:
            from recorder.pytest_plugin.messages import told_shut

            self._told.append(told_shut(sorted(findings.shut)))
        if orphans and configured.orphans != "ignore":
            from recorder.pytest_plugin.messages import told_orphan

            self._told += [told_orphan(self.run.told(Path(path))) for path in orphans]
        if unplayed and configured.unplayed != "ignore" and not self._lost_workers:
            from recorder.api.cassette_renewal import requests_of
            from recorder.pytest_plugin.messages import told_unplayed

            for path, exchanges in unplayed.items():
                requests = requests_of(Path(path), sorted(exchanges))
                told = told_unplayed(requests, self.run.told(Path(path)), is_shared=True)
                self._told.append(told.removeprefix("recorder: "))
        failed = (bool(orphans) and configured.orphans == "fail", bool(unplayed) and configured.unplayed == "fail")
        return any(failed)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Tell what was recorded, and what is not as it should be."""
        if self._told:
            terminalreporter.section("recorder")
            for line in self._told:
                terminalreporter.write_line(line)
