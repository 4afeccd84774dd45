"""A call of a tool with a hole in it is shown as whole nowhere: not in a view, and not in any format."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from recorder.projections.runner import project
from recorder.store import open_store
from recorder.store.projected import SqlProjected
from tests.building import ExchangeBuilder, delta
from tests.commands import json_lines, run
from tests.unit.dialects.wire import sse

LOST = {"events": 1, "bytes": 120, "from_ns": 1, "to_ns": 2, "reason": "disk full"}
BEGUN = {"index": 0, "id": "c1", "type": "function", "function": {"name": "buy", "arguments": '{"qty":1'}}
FIRST = sse(delta(role="assistant", tool_calls=[BEGUN]))
ZERO = delta(tool_calls=[{"index": 0, "function": {"arguments": "0"}}])
LAST = sse(delta(tool_calls=[{"index": 0, "function": {"arguments": "}"}}]), delta(finish="tool_calls"), done=True)


@pytest.fixture(params=["in the recording", "in the stream", "nowhere"])
def holed(request: pytest.FixtureRequest, store_url: str) -> str:
    """A store with an exchange that has a hole where the test's parameter says."""
    built = ExchangeBuilder().request({"model": "m", "messages": [{"role": "user", "content": "Ten."}]}).response()
    if request.param == "in the recording":
        built.chunks(FIRST).event("gap_recorded", LOST).chunks(LAST)
    else:
        middle = sse(ZERO) if request.param == "nowhere" else sse(json.dumps(ZERO)[:-1])
        built.chunks(FIRST, middle, LAST)
    with closing(open_store(store_url, write=True)) as store:
        store.append([built.opened], built.completed().events)
        project(store, SqlProjected(store))
    return str(request.param)


def exported(store_url: str, form: str) -> str:
    result = run("export", "--all", "--format", form, "--store", store_url)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_it_is_shown_as_whole_nowhere(store_url: str, holed: str) -> None:
    whole = holed == "nowhere"
    with closing(open_store(store_url, write=False)) as store, store.reading() as connection:
        rows = connection.exec_driver_sql("SELECT name, arguments, complete FROM tool_calls").fetchall()
    assert [tuple(row) for row in rows] == [("buy", '{"qty":10}' if whole else '{"qty":1}', int(whole))]
    (identity,) = (line["id"] for line in json_lines(run("list", "--json", "--store", store_url), "list"))
    shown = json.loads(run("show", identity, "--json", "--store", store_url).stdout)
    (call,) = (part for part in shown["messages"][-1]["parts"] if part["type"] == "tool_call")
    assert (call["complete"], "arguments" in call) == (whole, whole)
    assert shown["verdict"] == ("complete" if whole else "unknown")
    assert bool(exported(store_url, "openai-jsonl").strip()) == whole
    assert ("not known to be complete" in exported(store_url, "markdown")) != whole
    assert ('\\"complete\\": false' in exported(store_url, "otlp")) != whole


def test_nor_where_an_export_of_it_comes_back(store_url: str, holed: str, tmp_path: Path) -> None:
    file, back = tmp_path / "out.json", f"sqlite:///{tmp_path}/back.db"
    file.write_text(exported(store_url, "json"))
    assert run("import", str(file), "--store", back).exit_code == 0
    assert exported(back, "json") == file.read_text()
