"""What was imported without times, chunks or a request, in every view: absent is absent."""

from __future__ import annotations

import json
import signal
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from recorder.api.following import Following
from recorder.api.reader import Reader
from recorder.store.urls import parse_url
from tests.commands import json_lines, process, run
from tests.unit.formats.importing.test_cassettes import VCRPY

SSE = 'data: {"choices": [{"index": 0, "delta": {"content": "alone"}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
PAIR = {"messages": [{"role": "user", "content": "asked"}, {"role": "assistant", "content": "told"}]}
CHAT = VCRPY.replace('{"a": 1}', json.dumps({"messages": [{"role": "user", "content": "typed"}]})).replace(
    "data: \\xe9\\n\\n", SSE.replace('"', '\\"').replace("\n", "\\n")
)


@pytest.fixture
def url(store_url: str, tmp_path: Path) -> str:
    """A store with three exchanges, none of which tells when it was."""
    files = {"one.yaml": CHAT, "two.jsonl": json.dumps(PAIR) + "\n", "three.sse": SSE}
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    assert run("import", *(str(tmp_path / name) for name in files), "--store", store_url).exit_code == 0
    return store_url


def test_search_tells_no_time(url: str) -> None:
    for word in ("alone", "asked", "told", "typed"):
        (hit, *_) = json_lines(run("search", word, "--json", "--store", url), "search")
        assert "started_at" not in hit
        assert f"[{word}]" in run("search", word, "--store", url).stdout


def test_tail_tells_no_time(url: str) -> None:
    with closing(Reader(url)) as reader:
        last = Following(reader).last(9)
    assert [(one["state"], "started_at" in one) for one in last] == [("ended", False)] * 3
    with process("tail", "-n", "3", "--store", url) as tailing:
        assert tailing.stdout is not None
        lines = [tailing.stdout.readline().decode() for _ in last]
        tailing.send_signal(signal.SIGINT)
    assert all(line.startswith("imported  ") and "chunk" not in line for line in lines)


def test_what_is_imported_is_followed(url: str, tmp_path: Path) -> None:
    with closing(Reader(url)) as reader:
        following = Following(reader)
        file = tmp_path / "four.yaml"
        file.write_text(CHAT.replace("typed", "written"))
        assert run("import", str(file), "--store", url).exit_code == 0
        began, ended = following.changes()
    assert (began["state"], ended["state"]) == ("began", "ended")
    assert not {"started_at", "chunks"} & (began.keys() | ended.keys())
    assert began["imported_at"] == ended["imported_at"]


@pytest.mark.parametrize("command", [["list"], ["stats"], ["stats", "--by", "day"], ["list", "--json"], ["verify"]])
def test_views_take_what_has_no_time(url: str, command: list[str]) -> None:
    assert (done := run(*command, "--store", url)).exit_code == 0, done.output


def test_the_figures_of_a_day_are_those_of_its_filters(url: str, tmp_path: Path) -> None:
    """Also of what was imported on another day, exported, and imported here today."""
    one = json.loads(run("export", "--all", "--format", "jsonl", "--store", url).stdout.splitlines()[0])
    old = dict(one, id=one["id"][:-4] + "0000", imported_at="2024-02-28T23:59:59.999999999Z")
    (tmp_path / "old.jsonl").write_text(json.dumps(old) + "\n")
    assert run("import", str(tmp_path / "old.jsonl"), "--store", url).exit_code == 0
    days = {day["group"]: day for day in json_lines(run("stats", "--by", "day", "--json", "--store", url), "stats")}
    today = max(days)
    assert {name: day["exchanges"] for name, day in days.items()} == {"2024-02-28": 1, today: 3}
    assert [day["exchanges_without_time"] for day in days.values()] == [1, 3]
    for name, day in days.items():
        first = date.fromisoformat(name)
        span = ("--since", name, "--until", str(first + timedelta(days=1)))
        assert len(json_lines(run("list", "--json", *span, "--store", url), "list")) == day["exchanges"]
    shown = run("stats", "--by", "day", "--store", url).stdout
    assert "not told when    4 exchanges, imported: days and filters take the time of the import\n" in shown
    assert "(none)" not in shown


def test_exchanges_are_shown_compared_and_exported(url: str) -> None:
    ids = [row["id"] for row in json_lines(run("list", "--json", "--store", url), "list")]
    for identity in ids:
        (shown,) = json_lines(run("show", identity, "--json", "--store", url), "show")
        assert not {"started_at", "duration_ms", "chunks"} & shown.keys()
        assert run("show", identity, "--store", url).exit_code == 0
        assert run("diff", identity, ids[0], "--store", url).exit_code == (0 if identity == ids[0] else 1)
        for name in ("markdown", "html", "har", "csv", "otlp", "sse", "json", "jsonl", "openai-jsonl", "sharegpt"):
            assert run("export", identity, "--format", name, "--store", url).exit_code == 0, name


def test_the_views_of_sql_have_null(url: str) -> None:
    engine = create_engine(parse_url(url).url)
    with engine.connect() as connection:
        for view, column in [("exchanges", "started_at"), ("exchanges", "chunks"), ("messages", "started_at")]:
            found: list[Any] = list(connection.execute(text(f"SELECT {column} FROM {view}")).scalars())
            assert len(found) >= 3
            assert set(found) == {None}, (view, column)
    engine.dispose()
