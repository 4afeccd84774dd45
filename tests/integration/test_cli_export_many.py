"""recorder export of what filters leave, and of everything: conversation by conversation, one exchange at a time."""

from __future__ import annotations

import gc
import io
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow.parquet
import pytest

from recorder.api.exporting import Compared, Exchanges, of_filters
from recorder.api.store import Store
from recorder.core.rebuilt import Rebuilt
from recorder.formats.base import formats, render
from recorder.store import open_store
from tests.building import ExchangeBuilder
from tests.commands import answered, asking, fill, identity_of, run, terminal, told
from tests.recorded import ROOT

OPENING = ExchangeBuilder(20).event("conversation_named", {"name": "desk"})
AGAIN = ExchangeBuilder(21).event("conversation_named", {"name": "desk"})
ONE = answered(1, ("user", "one"), text="Wait.", call="c1")
NAMED = answered(2, ("user", "two"), text="Hold", call="c2", conversation=identity_of(OPENING), name="desk")
ON = answered(3, ("user", "one"), ("assistant", "Wait."), ("user", "now?"), text="Sell", call="c3")
LATER = answered(4, ("user", "three"), text="Buy", call="c4", conversation=identity_of(AGAIN), name="desk")
CUT = asking(5, ("user", "four"), call="c5").response().sse({"x": 1}, done=False).event("response_truncated", {})
ALL = (OPENING, AGAIN, ONE, NAMED, ON, LATER, CUT)
IN_ORDER = (ONE, ON, NAMED, LATER, CUT)


@pytest.fixture
def url(store_url: str) -> str:
    fill(store_url, *ALL)
    return store_url


@pytest.fixture
def file_url(sqlite_url: str) -> str:
    fill(sqlite_url, *ALL)
    return sqlite_url


def exported(url: str, *args: str, name: str = "jsonl") -> bytes:
    """Export what has nothing odd in it but an answer that was cut, which is no training example."""
    result = run("export", "--format", name, *args, "--store", url)
    left_out = f"warning: {name} has no place for 1 exchange: an answer that is not complete (1)\n"
    assert (result.exit_code, result.stderr) == (0, left_out if name in ("openai-jsonl", "sharegpt") else "")
    return result.stdout_bytes


def lines(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data.splitlines()]


def test_everything_comes_as_show_has_each_conversation_by_conversation(url: str) -> None:
    found = lines(exported(url, "--all"))
    assert all(one.pop("recording") for one in found)
    names = ("desk", *(identity_of(one) for one in IN_ORDER))
    told = [line for name in names for line in lines(run("show", name, "--json", "--store", url).stdout_bytes)]
    shown = {one["id"]: one for one in reversed(told)}
    goes_on = shown[identity_of(ON)]
    goes_on["relation"] = {"kind": "continues", "of": identity_of(ONE)}
    assert found == [shown[identity_of(one)] for one in IN_ORDER]
    assert [one.get("parent") for one in found] == [None, identity_of(ONE), None, None, None]


@pytest.mark.parametrize(
    ("filters", "chosen"),
    [
        (("--conversation", "desk"), [NAMED, LATER]),
        (("--verdict", "truncated"), [CUT]),
        (("--since", "2026-09-21T14:13:22.5Z", "--verdict", "complete"), [ON, LATER]),
        (("--model", "m-1", "--until", "2026-09-21T14:13:23.5Z"), [ONE, ON, NAMED]),
    ],
)
def test_what_the_filters_leave(file_url: str, filters: tuple[str, ...], chosen: list[ExchangeBuilder]) -> None:
    assert [one["id"] for one in lines(exported(file_url, *filters))] == [identity_of(one) for one in chosen]


@pytest.mark.parametrize("kind", [Exchanges, Compared])
@pytest.mark.parametrize("name", sorted(set(formats()) - {"sse"}))
def test_every_format_takes_everything_and_one_exchange_at_a_time(
    file_url: str, name: str, kind: type[Exchanges]
) -> None:
    with Store(file_url) as store:
        chosen = of_filters(store)
        assert chosen.size == len(IN_ORDER)
        exchanges = Compared(store, chosen) if kind is Compared else Exchanges(store, chosen.places)
        gc.collect()
        before = sum(isinstance(each, Rebuilt) for each in gc.get_objects())  # that other tests have left
        alive = []
        for _ in render(name, exchanges):
            alive.append(sum(isinstance(each, Rebuilt) for each in gc.get_objects()) - before)
        assert alive
        assert max(alive) <= 2
    assert exported(file_url, "--all", name=name)


@pytest.mark.parametrize("name", ["json", "jsonl"])
def test_what_was_exported_whole_is_imported_whole(file_url: str, tmp_path: Path, name: str) -> None:
    (tmp_path / "all").write_bytes(exported(file_url, "--all", name=name))
    other = f"sqlite:///{tmp_path}/other.db"
    assert run("import", str(tmp_path / "all"), "--store", other).exit_code == 0
    again = exported(other, "--all", name=name)

    def kept(data: bytes) -> list[dict[str, Any]]:
        found = json.loads(data)["exchanges"] if name == "json" else lines(data)
        return [
            {key: one.get(key) for key in ("id", "conversation_name", "parent", "messages", "usage")} for one in found
        ]

    assert kept(again) == kept((tmp_path / "all").read_bytes())


def test_transcripts_have_the_heading_of_each_conversation(file_url: str) -> None:
    text = exported(file_url, "--all", name="markdown").decode()
    assert [line for line in text.splitlines() if line.startswith("# ")] == [
        f"# Conversation `{identity_of(ONE)}`",
        "# Conversation `desk`",
        f"# Conversation `{identity_of(CUT)}`",
    ]
    assert text.count("now?") == text.count("Wait.") == 1  # what an exchange repeats is not shown again
    page = exported(file_url, "--all", name="html").decode()
    assert page.count('<h2 class="conversation">') == 3
    assert page.index("Conversation desk") < page.index(identity_of(NAMED)) < page.index(identity_of(LATER))


def test_training_examples_are_those_of_the_leaves(file_url: str) -> None:
    asked = [one["messages"][-2]["content"] for one in lines(exported(file_url, "--all", name="openai-jsonl"))]
    assert asked == ["now?", "two", "three"]


def test_parquet_tells_conversations_and_what_is_repeated(file_url: str) -> None:
    table = pyarrow.parquet.read_table(io.BytesIO(exported(file_url, "--all", name="parquet"))).to_pylist()
    assert {(row["conversation_name"], row["exchange"]) for row in table if row["conversation_name"]} == {
        ("desk", identity_of(NAMED)),
        ("desk", identity_of(LATER)),
    }
    assert [row["repeated"] for row in table if row["exchange"] == identity_of(ON)] == [True, True, False, False]


def test_the_bytes_of_the_one_exchange_that_fits(file_url: str) -> None:
    body = exported(file_url, "--verdict", "truncated", name="sse")
    assert body == b"".join(event.body or b"" for event in CUT.events if event.type == "chunk_received")
    assert "several exchanges are given" in told(run("export", "--all", "--format", "sse", "--store", file_url), 2)


@pytest.mark.parametrize(
    ("args", "line"),
    [
        ((), "error: nothing says what to export: give an ID, filters as for `recorder list`, or --all"),
        (("desk", "--all"), "error: an ID and --all are given together: leave one of them out"),
        (
            ("desk", "--status", "200", "--tag", "a=b"),
            "error: an ID and --status, --tag are given together: leave the ID out (--conversation ID is a filter too)",
        ),
        (("desk", "--all", "--status", "200"), "error: an ID and --all are given together"),
        (
            ("--all", "--model", "m", "--since", "2h"),
            "error: --all and --model, --since are given together: leave --all out, filters take all that fit",
        ),
    ],
)
def test_one_thing_says_what_to_export(file_url: str, args: tuple[str, ...], line: str) -> None:
    assert line in told(run("export", *args, "--store", file_url), 2)


def test_nothing_that_fits_is_one_line_and_leaves_the_file_as_it_was(file_url: str, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("before")
    args = ("--model", "none", "-o", str(tmp_path / "out"), "--force")
    line = told(run("export", *args, "--store", file_url), 1)
    assert line == "error: nothing is recorded that fits, so nothing is exported: see `recorder list`"
    assert (tmp_path / "out").read_text() == "before"
    empty = f"sqlite:///{tmp_path}/empty.db"
    fill(empty)
    assert "nothing is recorded that fits" in told(run("export", "--all", "--store", empty), 1)


def test_what_a_rule_finds_in_a_later_exchange_is_left_out_of_the_earlier_ones(sqlite_url: str, tmp_path: Path) -> None:
    first = answered(1, ("user", "ask Zoltan77 first"), text="Wait.", call="c1")
    second = answered(
        2, ("user", "account: Zoltan77"), text="Hold", call="c2", conversation=identity_of(OPENING), name="of Zoltan77"
    )
    fill(sqlite_url, OPENING, first, second)
    for name in ("jsonl", "markdown", "csv"):
        result = run("export", "--all", "--format", name, "--redact", r"re:(?<=account: )\w+", "--store", sqlite_url)
        assert result.exit_code == 0, result.stderr
        assert "Zoltan77" not in result.stdout
        assert result.stdout.count("[redacted]") >= (0 if name == "csv" else 2)


def test_what_was_changed_is_told_first(file_url: str) -> None:
    file = Path(file_url.removeprefix("sqlite:///"))
    body = next(event.body for event in LATER.events if event.body and b"Buy" in event.body)
    data = file.read_bytes()
    file.write_bytes(data.replace(body, body.replace(b"Buy", b"Bux")))
    result = run("export", "--all", "--store", file_url)
    assert result.exit_code == 0
    assert result.stderr.startswith(f"warning: exchange {identity_of(LATER)} is not as it was written")
    assert result.stderr.count("\n") == 1
    assert result.stdout.startswith("> **Not as written**")
    assert identity_of(LATER) in result.stdout.split("# Conversation")[0]


@pytest.mark.parametrize("name", ["jsonl", "markdown", "html", "csv"])
def test_an_event_that_nobody_here_can_read_keeps_no_other_exchange_back(file_url: str, name: str) -> None:
    with closing(open_store(file_url, write=True)) as store, store.writing() as connection:
        connection.exec_driver_sql("DROP TRIGGER events_no_update")
        connection.exec_driver_sql(
            "UPDATE events SET type = 99 WHERE version = 3 AND stream = ?", (NAMED.opened.stream,)
        )
    result = run("export", "--all", "--format", name, "--store", file_url)
    assert result.exit_code == 0
    unread = "1 event of it is of a type that this version of recorder does not know, version 3"
    warned = f"warning: exchange {identity_of(NAMED)} is exported without all of it, {unread}: upgrade recorder\n"
    assert result.stderr == warned
    assert all(identity_of(one) in result.stdout for one in IN_ORDER)
    if name == "jsonl":
        [one] = [one for one in lines(result.stdout.encode()) if one["id"] == identity_of(NAMED)]
        assert one["verdict"] == "unknown"
    if name in ("markdown", "html"):
        section = result.stdout.partition(f"Exchange `{identity_of(NAMED)}`")[2] or result.stdout
        assert unread in section


def test_several_events_that_nobody_here_can_read_are_counted(file_url: str) -> None:
    with closing(open_store(file_url, write=True)) as store, store.writing() as connection:
        connection.exec_driver_sql("DROP TRIGGER events_no_update")
        connection.exec_driver_sql(
            "UPDATE events SET type = 99 WHERE version IN (3, 4) AND stream = ?", (NAMED.opened.stream,)
        )
    result = run("export", "--all", "--format", "json", "--store", file_url)
    told = "2 events of it are of a type that this version of recorder does not know, the first one is version 3"
    assert (result.exit_code, told in result.stderr) == (0, True)


@pytest.fixture
def long_url(sqlite_url: str) -> str:
    """More exchanges than are exported in a moment."""
    fill(sqlite_url, *(answered(number, ("user", str(number)), call=str(number)) for number in range(1, 61)))
    return sqlite_url


def test_a_bar_is_shown_on_a_terminal_and_never_among_what_is_exported(long_url: str, tmp_path: Path) -> None:
    args = ("export", "--all", "--format", "csv", "--store", long_url)
    code, sent = terminal(*args, "-o", str(tmp_path / "out.csv"), out=False)
    assert code == 0
    assert "exporting" in sent
    assert "100%" in sent
    assert sent.endswith(f"out.csv: {(tmp_path / 'out.csv').stat().st_size:,} bytes\n")
    _, sent = terminal(*args)
    assert "exporting" not in sent
    assert run(*args, "-o", "-").stderr == ""


@pytest.mark.parametrize("name", ["", "-wal", "-shm", ".lock", "-spool/x.spool"])
def test_the_store_itself_is_not_replaced(file_url: str, name: str) -> None:
    store = Path(f"{file_url.removeprefix('sqlite:///')}{name}")
    before = exported(file_url, "--all")
    error = told(run("export", "--all", "--format", "jsonl", "-o", str(store), "--force", "--store", file_url), 2)
    assert "is the store itself" in error
    assert exported(file_url, "--all") == before


def test_each_line_is_of_the_published_schema(file_url: str) -> None:
    schema = json.loads((ROOT / "docs/schema/show.schema.json").read_text())
    for line in lines(exported(file_url, "--all")):
        jsonschema.validate(line, schema)
