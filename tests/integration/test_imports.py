"""What importing recorder loads, and what it leaves until it is needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import recorder
import recorder.api.store

READING = (
    "recorder.projections",
    "recorder.dialects",
    "recorder.core.rebuilt",
    "recorder.api.store",
    "recorder.replay.answers",
)


def loaded_after(code: str, *names: str) -> list[str]:
    """Return which of *names* are loaded in a fresh interpreter after *code*."""
    told = f"{code}; import sys; print(*[name for name in {names!r} if name in sys.modules])"
    return subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True).stdout.split()


def test_what_records_does_not_import_what_reads() -> None:
    assert loaded_after("from recorder import Recorder, Player", *READING, "requests") == []
    assert loaded_after("from recorder import Player", "recorder.serving", "h11", "asyncio") == []
    assert loaded_after("from recorder import Store", *READING) == [name for name in READING if "replay" not in name]


@pytest.mark.parametrize("library", ["requests", "httpx"])
def test_playing_a_cassette_imports_nothing_that_writes(library: str, tmp_path: Path) -> None:
    path = tmp_path / "tape.jsonl"
    path.write_text('{"cassette":1,"exchanges":0}\n')
    mounted = {
        "requests": "import requests; player.mount(requests.Session())",
        "httpx": "import httpx; player.httpx_transport(httpx)",
    }
    code = f"from recorder import Player; player = Player({str(path)!r}); {mounted[library]}"
    assert loaded_after(code, "sqlalchemy", "recorder.recording.tap", "recorder.recording.write_path") == []


@pytest.mark.parametrize(("drainer", "loaded"), [("thread", ["recorder.projections.runner"]), ("process", [])])
def test_what_a_drainer_thread_will_need_is_there_before_it_runs(
    drainer: str, loaded: list[str], sqlite_url: str, tmp_path: Path
) -> None:
    if drainer == "process" and sys.platform == "win32":
        pytest.skip("a drainer of its own process needs POSIX")
    begun = (
        "import threading; from recorder import Recorder; start = threading.Thread.start; at_start = []\n"
        "def noted(self):\n"
        "    at_start.append('recorder.projections.runner' in sys.modules); start(self)\n"
        "import sys; threading.Thread.start = noted\n"
        f"made = Recorder({sqlite_url!r}, drainer={drainer!r})\n"
        "print(*[name for name in ['recorder.projections.runner'] if all(at_start) and name in sys.modules])\n"
        "made.close()"
    )
    done = subprocess.run([sys.executable, "-c", begun], capture_output=True, text=True, check=True)
    assert done.stdout.split() == loaded


def test_every_public_name_is_there() -> None:
    names: dict[str, object] = {}
    exec("from recorder import *", names)
    assert set(recorder.__all__) <= set(names)
    assert names["Store"] is recorder.Store is recorder.api.store.Store
    with pytest.raises(AttributeError, match="module 'recorder' has no attribute 'Tape'"):
        recorder.__getattr__("Tape")
