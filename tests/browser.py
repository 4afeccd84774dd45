"""A real browser, where there is one: Chromium or Chrome, spoken to over two pipes in its DevTools protocol.

``RECORDER_TEST_BROWSER`` names another executable. Nothing is installed for it: the protocol is JSON with a NUL after
each message (https://chromedevtools.github.io/devtools-protocol/, ``--remote-debugging-pipe``).
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

OVERRIDE = "RECORDER_TEST_BROWSER"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PATIENCE = 60.0
# The protocol's pipes are the descriptors 3 and 4, which are others' here.
_STARTER = """\
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


def find() -> str | None:
    """Return the path of a browser; None where there is none."""
    named = os.environ.get(OVERRIDE)
    return named or next((path for name in NAMES if (path := shutil.which(name))), None)


needs_browser = pytest.mark.skipif(
    find() is None, reason=f"no Chromium or Chrome on this machine: install one, or name it in {OVERRIDE}"
)


class Browser:
    """A browser without a window, with a profile of its own; a context manager.

    :ivar happened: ``(method, parameters)`` of what the page did: dialogs, requests, console messages, exceptions.
    """

    def __init__(self) -> None:
        executable = find()
        assert executable is not None
        self.happened: list[tuple[str, dict[str, Any]]] = []
        self._profile = Path(tempfile.mkdtemp(prefix="recorder-browser-"))
        read_by_it, self._write = os.pipe()
        self._read, written_by_it = os.pipe()
        high = [fcntl.fcntl(one, fcntl.F_DUPFD, 10) for one in (read_by_it, written_by_it)]
        options = ["--headless=new", "--remote-debugging-pipe", "--disable-gpu", "--disable-dev-shm-usage"]
        options += ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--mute-audio"]
        options += [f"--user-data-dir={self._profile}", *(["--no-sandbox"] if os.geteuid() == 0 else []), "about:blank"]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _STARTER, *map(str, high), executable, *options],
            pass_fds=high,
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        for one in (read_by_it, written_by_it, *high):
            os.close(one)
        self._number = 0
        self._rest = b""
        target = self._ask("Target.createTarget", {"url": "about:blank"})["targetId"]
        self._session = self._ask("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.ask(f"{domain}.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.kill()
        self._process.wait(PATIENCE)
        os.close(self._write)
        os.close(self._read)
        shutil.rmtree(self._profile, ignore_errors=True)

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command for the page and return its result."""
        return self._ask(method, parameters, {"sessionId": self._session})

    def _ask(self, method: str, parameters: dict[str, Any], more: dict[str, str] | None = None) -> dict[str, Any]:
        number = self._send(method, parameters, more)
        while (message := self._next()).get("id") != number:
            self._take(message)
        assert "error" not in message, (method, message["error"])
        result: dict[str, Any] = message["result"]
        return result

    def _send(self, method: str, parameters: dict[str, Any], more: dict[str, str] | None = None) -> int:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters, **(more or {})}
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._write, data) :]
        return self._number

    def _next(self) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE
        pieces = [self._rest]
        while b"\0" not in pieces[-1]:
            ready, _, _ = select.select([self._read], [], [], max(deadline - time.monotonic(), 0))
            assert ready, "the browser says nothing more"
            data = os.read(self._read, 1 << 20)
            assert data, "the browser has gone"
            pieces.append(data)
        told, _, self._rest = b"".join(pieces).partition(b"\0")
        message: dict[str, Any] = json.loads(told)
        return message

    def _take(self, message: dict[str, Any]) -> None:
        if "method" not in message:
            return
        method, parameters = message["method"], message.get("params", {})
        self.happened.append((method, parameters))
        if method == "Page.javascriptDialogOpening":  # nothing goes on until it is answered
            self._send("Page.handleJavaScriptDialog", {"accept": True}, {"sessionId": self._session})

    def open(self, page: Path, *, width: int = 1100, height: int = 800, dark: bool = False) -> None:
        """Show a file, and wait until it is loaded.

        :param width: of the window, in CSS pixels; likewise *height*.
        :param dark: the reader prefers dark colours.
        """
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        preferred = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.ask("Emulation.setEmulatedMedia", features=preferred)
        self.happened.clear()
        self.ask("Page.navigate", url=page.as_uri())
        while not any(method == "Page.loadEventFired" for method, _ in self.happened):
            self._take(self._next())

    def value(self, expression: str) -> Any:
        """Return what a JavaScript expression is in the page, as JSON says it."""
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def settle(self, seconds: float) -> None:
        """Let the page do for a while whatever it does by itself."""
        time.sleep(seconds)
        self.value("1")

    def dialogs(self) -> list[str]:
        """Return what dialogs said."""
        return [parameters["message"] for method, parameters in self.happened if method.endswith("DialogOpening")]

    def requests(self) -> list[str]:
        """Return the URLs that the page asked for, its own among them."""
        sent = [parameters for method, parameters in self.happened if method == "Network.requestWillBeSent"]
        return [parameters["request"]["url"] for parameters in sent]

    def complaints(self) -> list[Any]:
        """Return what the console, the log and the page's scripts have said."""
        loud = {"Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"}
        return [parameters for method, parameters in self.happened if method in loud]

    def picture(self, *, whole: bool = True) -> bytes:
        """Return a PNG of the page, of all of it or of what the window shows."""
        self.ask("Emulation.setScrollbarsHidden", hidden=True)
        told = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole, **self._clip(whole))
        return base64.b64decode(told["data"])

    def _clip(self, whole: bool) -> dict[str, Any]:
        if not whole:
            return {}
        size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}}
