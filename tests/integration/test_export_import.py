"""Export, import, export again: the same text, for every kind of exchange that a store may hold."""

from __future__ import annotations

import gzip
import json
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from recorder import Store
from recorder.clock import id_text
from recorder.store import open_store
from tests.building import ExchangeBuilder, delta, identity
from tests.commands import json_lines, run
from tests.unit.formats.importing.test_cassettes import GO, RUBY, VCRPY
from tests.unit.formats.importing.test_har import entry, har

FORMATS = ["json", "jsonl", "har"]
DESK = {"conversation": id_text(identity(90)), "name": "desk"}
JSON = [("content-type", "application/json")]
HIDDEN: dict[str, Any] = {"redacted": ["header:set-cookie"]}
ASKED = [{"role": "user", "content": "q"}]
ERROR = {"type": "builtins.OSError", "message": "GET /v1?key=~redacted~ refused", "errno": 111, "args": [111, "no"]}


def asked(number: int, payload: Any = None, step_ns: int = 1_234_567, **facts: Any) -> ExchangeBuilder:
    told = {"model": "m", "messages": ASKED} if payload is None else payload
    return ExchangeBuilder(number, step_ns=step_ns).request(told, **facts)


def answering(number: int, **facts: Any) -> ExchangeBuilder:
    return asked(number, **facts).response().sse(delta(role="assistant", content=f"é {number}"), done=False)


def said(number: int) -> list[dict[str, str]]:
    return [*ASKED, {"role": "assistant", "content": f"é {number}"}, {"role": "user", "content": "r"}]


def coded(number: int, body: bytes, coding: str = "gzip", media: str = "text/plain") -> ExchangeBuilder:
    return asked(number).response(headers=[("content-type", media), ("content-encoding", coding)]).chunks(body)


def recorded() -> dict[str, ExchangeBuilder]:
    """Return exchanges by what is special about each."""
    packed = gzip.compress("hé".encode() * 50, mtime=0)
    length = [
        ("content-type", "text/plain"),
        ("Content-Length", "4"),
        ("X-Latin", "\xe9"),
        ("set-cookie", "a=~redacted~cookie~8c187bdb2b9f9ad4~"),
    ]
    four: dict[str, Any] = {"framing": "length", "length": 4, **HIDDEN}
    lost = {"events": 2, "bytes": 9, "from_ns": 1, "to_ns": 2, "reason": "x"}
    return {
        "complete": answering(1).sse(delta(finish="stop")).completed(),
        "it goes on": asked(2, {"model": "m", "messages": said(1)}).response().sse(delta(content="b")).completed(),
        "regenerated": answering(3).sse(delta(content="other", finish="length")).completed(),
        "reset": answering(4).event("response_failed", {"kind": "reset", "phase": "body", "error": ERROR}),
        "cut": answering(5).event("response_truncated", {"received": 10, "expected": 20}),
        "closed": answering(6).event("consumer_closed", {"taken": 3, "received": 10}),
        "closed when complete": answering(7).completed().event("consumer_closed", {"taken": 3}),
        "abandoned": answering(8).event("consumer_abandoned", {"taken": 0, "received": 10}),
        "died": answering(9).event("process_died", {"found_by": id_text(b"j" * 16)}, instance=b"j" * 16),
        "recorder closed": answering(10).event("recorder_closed", {"received": 10}),
        "unfinished": answering(11),
        "asked only": asked(12),
        "no connection": asked(13).event("request_failed", {"kind": "refused", "phase": "connect", "error": ERROR}),
        "timeout": asked(14).event("request_failed", {"kind": "timeout", "phase": "head", "proxy": True}),
        "no content": asked(15, b"\xff\x00").response(204, "No Content", (), framing="none").completed(),
        "refused": asked(16).response(429, "Too Many", JSON).chunks(b'{"error": 1}').completed(),
        "length": asked(17).response(200, "", length, **four).chunks(b"abcd").completed(),
        "length, cut": asked(18).response(200, "", length, **four).chunks(b"ab").event("response_truncated", {}),
        "coded": coded(19, packed).completed(),
        "coded, cut": coded(20, packed[:-9]).event("response_truncated", {}),
        "coded in an unknown way": coded(21, b"\x00coded", "x-own").completed(),
        "coded, they say": coded(22, b"plain").completed(),
        "of another charset": coded(23, "hé".encode("latin-1"), "identity", "text/plain; charset=latin-1").completed(),
        "gap": answering(24).event("gap_recorded", lost).completed(),
        "named": answering(25, **DESK).sse(delta(finish="stop")).completed(),
        "named, goes on": asked(26, {"messages": said(25)}, **DESK).response().sse(delta(content="c")).completed(),
        "retried": answering(27, call="call-9", attempt=3).completed(),
        "redacted": answering(28, redacted=["header:authorization", "url:key"]).completed(),
        "a query": ExchangeBuilder(29).request(method="GET", url="https://h.test/a?b=c&d=%20#e").response().completed(),
        "its body follows": asked(30, b"").event("request_body_sent", {}, b"rest").response().completed(),
        "continue": asked(31).response(before=b"HTTP/1.1 100 Continue\r\n\r\n").completed(),
        "HEAD": ExchangeBuilder(32)
        .request(method="HEAD")
        .response(200, "OK", length, framing="none", **HIDDEN)
        .completed(),
        "nothing in it": asked(33).response().completed(),
        "empty chunks": asked(34).response().chunks(b"", b"data: x", b"", b"\n\n").completed(),
    }


IMPORTED = {
    "cassette.yaml": VCRPY,
    "ruby.yml": RUBY,
    "go.yaml": GO,
    "browser.har": json.dumps(har(entry(), entry(response={"status": 0, "_error": "net::ERR_FAILED"}))),
    "train.jsonl": json.dumps({"messages": [*ASKED, {"role": "assistant", "content": "a"}]}) + "\n",
    "alone.sse": "data: x\n\n",
}
EXCHANGES = recorded()


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store with everything."""
    folder = tmp_path_factory.mktemp("filled")
    url = f"sqlite:///{folder}/store.db"
    desk = ExchangeBuilder(90).event("conversation_named", {"name": "desk"}).event("tags_set", {"tags": {"bot": "e"}})
    with closing(open_store(url, write=True)) as store:
        for built in [desk, *EXCHANGES.values()]:
            store.append([built.opened], built.events)
    for name, content in IMPORTED.items():
        (folder / name).write_text(content, encoding="utf-8")
    assert run("import", *(str(folder / name) for name in IMPORTED), "--store", url).exit_code == 0
    return url


def exported(url: str, which: str, name: str) -> str:
    result = run("export", which, "--format", name, "--store", url)
    assert result.exit_code == 0, result.output
    return result.stdout


def first_difference(before: str, after: str) -> str:
    at = next(
        (at for at, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after))
    )
    return f"{before[max(0, at - 80) : at + 80]!r}\n{after[max(0, at - 80) : at + 80]!r}"


def comparable(document: str, name: str, *, alone: bool) -> str:
    """Return an export as it is; of an exchange alone, without the one that it goes on from: that is not there."""
    if not alone:
        return document
    value = json.loads(document)
    for each in value["log"]["entries"] if name == "har" else value["exchanges"] if name == "json" else [value]:
        for key in ("parent", "relation", "_parent"):
            each.pop(key, None)
    return json.dumps(value)


def come_back(url: str, which: list[str], name: str, folder: Path, *, alone: bool = False) -> list[str]:
    """Return what is wrong with the way of exports into another store, and out of it."""
    documents = {one: exported(url, one, name) for one in which}
    if name == "har":  # has no place for what has no request
        documents = {one: told for one, told in documents.items() if json.loads(told)["log"]["entries"]}
    files = [folder / f"{number}.export" for number in range(len(documents))]
    for file, document in zip(files, documents.values(), strict=True):
        file.write_text(document, encoding="utf-8")
    other = f"sqlite:///{folder}/other.db"
    result = run("import", *map(str, files), "--json", "--store", other)
    assert (result.exit_code, result.stderr) == (0, "")
    assert all(json.loads(line)["imported"] for line in result.stdout.splitlines())
    for there in (url, other):
        again = run("import", *map(str, files), "--json", "--store", there)
        assert (again.stderr, again.exit_code) == ("", 0)
        assert not any(json.loads(line)["imported"] for line in again.stdout.splitlines())
    wrong = []
    for one, document in documents.items():
        before, now = (comparable(told, name, alone=alone) for told in (document, exported(other, one, name)))
        if before != now:
            wrong.append(f"{one}\n{first_difference(before, now)}")
    return wrong


@pytest.mark.parametrize("name", FORMATS)
def test_every_exchange_comes_back_as_it_was(filled: str, name: str, tmp_path: Path) -> None:
    rows = json_lines(run("list", "--json", "-n", "100", "--store", filled), "list")
    assert len(rows) == len(EXCHANGES) + len(IMPORTED) + 1
    wrong = come_back(filled, [row["id"] for row in rows], name, tmp_path, alone=True)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", FORMATS)
def test_every_conversation_comes_back_as_it_was(filled: str, name: str, tmp_path: Path) -> None:
    with Store(filled) as store:
        several = [each.name or each.id for each in store.conversations() if len(each.exchanges) > 1]
    assert "desk" in several
    assert len(several) == 2
    wrong = come_back(filled, several, name, tmp_path)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", FORMATS)
def test_every_url_comes_back_whole(filled: str, name: str, tmp_path: Path) -> None:
    """Told by what the other store has: an export that leaves something out is the same after the import too."""
    file, other = tmp_path / "export", f"sqlite:///{tmp_path}/other.db"
    file.write_text(exported(filled, "--all", name), encoding="utf-8")
    assert run("import", str(file), "--store", other).exit_code == 0

    def urls(store: str) -> dict[str, str]:
        rows = json_lines(run("list", "--json", "--store", store), "list")
        return {row["id"]: row["url"] for row in rows if row.get("url")}

    assert any("#" in url for url in urls(filled).values())
    assert urls(other) == urls(filled)


def test_where_it_came_from_first_is_not_forgotten(filled: str, tmp_path: Path) -> None:
    found = json_lines(run("list", "--json", "-n", "100", "--store", filled), "list")
    ids = [row["id"] for row in found if "imported_at" in row]
    shown = [json_lines(run("show", one, "--json", "--store", filled), "show")[0] for one in ids]
    (one,) = (each for each in shown if each["imported"]["file"] == "cassette.yaml")
    file, other = tmp_path / "export", f"sqlite:///{tmp_path}/other.db"
    file.write_text(exported(filled, one["id"], "jsonl"), encoding="utf-8")
    assert run("import", str(file), "--store", other).exit_code == 0
    (again,) = json_lines(run("show", one["id"], "--json", "--store", other), "show")
    assert (again["imported"]["file"], again["imported"]["format"]) == ("export", "recorder")
    assert again["imported"]["before"] == {"imported": one["imported"], "imported_at": one["imported_at"]}


FILTERS = [
    ["--all"],
    ["--verdict", "complete"],
    ["--verdict", "truncated"],
    ["--status", "200"],
    ["--finish", "stop"],
    ["--conversation", "desk"],
    ["--tag", "bot=e"],
    ["--since", "2026-09-21T14:13:25Z"],
    ["--until", "2026-09-21T14:13:40Z"],
]


@pytest.fixture(scope="module")
def mixed(filled: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A copy of the store, with conversations between each other, and exchanges newer than what was imported."""
    desk = {"conversation": id_text(identity(90)), "name": "desk"}
    late = ExchangeBuilder(95)
    late.wall_ns = time.time_ns()
    untold = [{"role": "user", "content": "z"}]
    built = [
        late.request({"model": "m", "messages": [{"role": "user", "content": "late"}]})
        .response()
        .sse(delta(content="d", finish="stop"))
        .completed(),
        asked(40, {"model": "m", "messages": untold}).response().sse(delta(content="y"), done=False),
        answering(41, **desk).event("response_truncated", {}),
        asked(42, {"model": "m", "messages": [*untold, {"role": "assistant", "content": "y"}, *untold]})
        .response()
        .sse(delta(content="x", finish="stop"))
        .completed(),
    ]
    built[1].event("response_truncated", {})
    url = f"sqlite:///{tmp_path_factory.mktemp('mixed')}/store.db"
    assert run("db", "copy", "--from", filled, "--to", url).exit_code == 0
    with closing(open_store(url, write=True)) as store:
        for one in built:
            store.append([one.opened], one.events)
    return url


def told_alone(document: str, name: str) -> list[dict[str, Any]]:
    """Return the exchanges of an export in their order, without what is said of others that may be left out."""
    lines = document.splitlines() if name == "jsonl" else [document]
    values = [json.loads(line) for line in lines]
    if name != "jsonl":
        values = values[0]["log"]["entries"] if name == "har" else values[0]["exchanges"]
    for each in values:
        for key in ("parent", "relation", "_parent"):
            each.pop(key, None)
    return values


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("chosen", FILTERS, ids=" ".join)
def test_what_filters_leave_comes_back_in_its_order(mixed: str, name: str, chosen: list[str], tmp_path: Path) -> None:
    def export(url: str, *which: str) -> str:
        result = run("export", *which, "--format", name, "--store", url)
        assert result.exit_code == 0, result.output
        return result.stdout

    before, file, other = export(mixed, *chosen), tmp_path / "export", f"sqlite:///{tmp_path}/other.db"
    file.write_text(before, encoding="utf-8")
    assert run("import", str(file), "--store", other).exit_code == 0
    again = export(other, "--all")
    assert again == before if chosen == ["--all"] and name != "har" else True
    assert told_alone(again, name) == told_alone(before, name)
    assert len(told_alone(before, name)) > 1
    file.write_text(again, encoding="utf-8")
    third = f"sqlite:///{tmp_path}/third.db"
    assert run("import", str(file), "--store", third).exit_code == 0
    assert export(third, "--all") == again


@pytest.mark.parametrize("chosen", [each for each in FILTERS if "truncated" not in each], ids=" ".join)
def test_examples_for_fine_tuning_come_back_in_their_order(mixed: str, chosen: list[str], tmp_path: Path) -> None:
    before, file, other = (
        run("export", *chosen, "--format", "openai-jsonl", "--store", mixed).stdout,
        tmp_path / "examples.jsonl",
        f"sqlite:///{tmp_path}/other.db",
    )
    file.write_text(before, encoding="utf-8")
    assert run("import", str(file), "--store", other).exit_code == 0
    assert run("export", "--all", "--format", "openai-jsonl", "--store", other).stdout == before
