"""The tools, each behind the same few calls, with their default settings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import httpx
import requests


class NotThereError(Exception):
    """The tool has nothing of this kind."""


class Taps:
    """What a tool records, or answers: sessions and clients. For tools that patch the libraries, plain ones."""

    def adopt(self, session: requests.Session) -> requests.Session:
        return session

    def session(self) -> requests.Session:
        return self.adopt(requests.Session())

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(**options)

    def async_client(self, **options: Any) -> httpx.AsyncClient:
        return httpx.AsyncClient(**options)


class Tool(ABC):
    """A tool.

    :ivar suffix: of its cassettes.
    :ivar modes: what it calls the modes of cassetter's cases; a mode that is missing it does not have.
    """

    name = ""
    package = ""
    suffix = ".yaml"
    modes: ClassVar[dict[str, str]] = {}

    @property
    def title(self) -> str:
        return f"{self.name} {version(self.package)}"

    def recording(self, path: Path) -> AbstractContextManager[Taps]:
        return self.opened(path, "once")

    def playing(self, path: Path) -> AbstractContextManager[Taps]:
        return self.opened(path, "none")

    @abstractmethod
    def opened(self, path: Path, mode: str) -> AbstractContextManager[Taps]:
        """Open a cassette in a mode, by the tool's own name for it; ``once`` and ``none`` every tool has."""

    def urls(self, path: Path) -> list[str]:
        """Return the paths of the URLs that a cassette holds."""
        import yaml

        document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        return sorted(
            (one["request"].get("uri") or one["request"]["url"]).partition("//")[2].partition("/")[2]
            for one in document.get("interactions") or []
        )

    def run_mode(self, path: Path, mode: str, urls: list[str]) -> list[str]:
        """Ask for URLs in a mode; return what came of each: ``answered`` or ``refused``."""
        outcomes: list[str] = []
        with self.opened(path, mode) as taps:
            try:
                session = taps.session()
            except ValueError:  # betamax refuses a cassette that is not there when it is opened
                return ["refused"] * len(urls)
            for url in urls:
                try:
                    session.get(url, timeout=5)
                    outcomes.append("answered")
                except Exception:  # noqa: BLE001 - each tool refuses by an exception of its own
                    outcomes.append("refused")
        return outcomes


class _Ours(Taps):
    def __init__(self, tap: Any) -> None:
        self._tap = tap

    def adopt(self, session: requests.Session) -> requests.Session:
        mounted: requests.Session = self._tap.mount(session)
        return mounted

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(transport=self._tap.httpx_transport(httpx.HTTPTransport()), **options)

    def async_client(self, **options: Any) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=self._tap.httpx_transport(httpx.AsyncHTTPTransport()), **options)


_MODE_TEST = """
import json, os
from recorder.errors import ReplayError

def test_it(recorded_session):
    told = []
    for url in json.loads(os.environ["URLS"]):
        try:
            recorded_session.get(url, timeout=5)
            told.append("answered")
        except ReplayError:
            told.append("refused")
    with open(os.environ["TOLD"], "w") as file:
        json.dump(told, file)
"""


class Ours(Tool):
    """recorder; its modes are those of its plugin of pytest."""

    name = "recorder"
    package = "conversation-recorder"
    suffix = ".jsonl"
    # What cassetter calls `all` is `rewrite` here: ours of that name keeps what was not asked for.
    modes: ClassVar = {
        "none": "none",
        "once": "once",
        "new_episodes": "new_episodes",
        "all": "rewrite",
        "rewrite": "rewrite",
    }

    @contextmanager
    def opened(self, path: Path, mode: str) -> Iterator[Taps]:
        from recorder import Player, Recorder

        if mode not in ("once", "none"):
            raise NotThereError  # without the plugin; :meth:`run_mode` has it
        with Recorder(path) if mode == "once" else Player(path) as tap:
            yield _Ours(tap)

    def urls(self, path: Path) -> list[str]:
        from recorder.api.cassette_reports import look

        return sorted(each.partition("//")[2].partition("/")[2] for each in look(path).requests)

    def run_mode(self, path: Path, mode: str, urls: list[str]) -> list[str]:
        folder = path.parent / "suite"
        folder.mkdir(exist_ok=True)
        (folder / "test_mode.py").write_text(_MODE_TEST)
        (folder / "pytest.ini").write_text("[pytest]\n")
        cassette, told = folder / "cassettes/test_mode/test_it.jsonl", folder / "told.json"
        cassette.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            path.replace(cassette)
        environment = {**os.environ, "URLS": json.dumps(urls), "TOLD": str(told)}
        environment.pop("CI", None)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--recorder-mode={mode}"]
        subprocess.run([*command, "test_mode.py"], cwd=folder, env=environment, capture_output=True, check=False)
        if cassette.exists():
            cassette.replace(path)
        found: list[str] = json.loads(told.read_text())
        return found


class Vcrpy(Tool):
    """vcrpy."""

    name = package = "vcrpy"
    modes: ClassVar = {"none": "none", "once": "once", "new_episodes": "new_episodes", "all": "all"}

    @contextmanager
    def opened(self, path: Path, mode: str) -> Iterator[Taps]:
        import vcr

        with vcr.use_cassette(str(path), record_mode=mode):
            yield Taps()


class Cassetter(Tool):
    """cassetter."""

    name = package = "cassetter"
    modes: ClassVar = {mode: mode for mode in ("none", "once", "new_episodes", "all", "rewrite")}

    @contextmanager
    def opened(self, path: Path, mode: str) -> Iterator[Taps]:
        import cassetter

        with cassetter.use_cassette(path, record_mode=mode):
            yield Taps()


class _Betamax(Taps):
    def __init__(self, path: Path, mode: str, stack: ExitStack) -> None:
        self._path, self._mode, self._stack = path, mode, stack

    def adopt(self, session: requests.Session) -> requests.Session:
        from betamax import Betamax

        recorder = Betamax(session, cassette_library_dir=str(self._path.parent))
        self._stack.enter_context(recorder.use_cassette(self._path.stem, record=self._mode))
        return session

    def client(self, **options: Any) -> httpx.Client:
        raise NotThereError

    def async_client(self, **options: Any) -> httpx.AsyncClient:
        raise NotThereError


class Betamax(Tool):
    """betamax, for requests only."""

    name = package = "betamax"
    suffix = ".json"
    modes: ClassVar = {"none": "none", "once": "once", "new_episodes": "new_episodes", "all": "all"}

    @contextmanager
    def opened(self, path: Path, mode: str) -> Iterator[Taps]:
        with ExitStack() as stack:
            yield _Betamax(path, mode, stack)

    def urls(self, path: Path) -> list[str]:
        found = json.loads(path.read_text())["http_interactions"]
        return sorted(one["request"]["uri"].partition("//")[2].partition("/")[2] for one in found)


TOOLS: dict[str, Tool] = {tool.name: tool for tool in (Ours(), Vcrpy(), Cassetter(), Betamax())}
