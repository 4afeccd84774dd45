"""Content that somebody took away without a record: nobody who shows it says that it was erased."""

from __future__ import annotations

import json
import zipfile
from contextlib import closing
from pathlib import Path

import pytest
import requests

from recorder import NoMatchingExchange, Player, Store
from recorder.clock import id_bytes
from recorder.store import open_store
from recorder.store.erased import erased_streams
from tests.attacker import Attacker
from tests.commands import json_lines, run
from tests.erasing import Recorded, erase, recorded, verified
from tests.recorded import ask

SAID = "taken away without a record"


def taken(url: str) -> Recorded:
    """Record a conversation, of whose second exchange the content is taken away past recorder, with its rows."""
    made = recorded(url)
    with Attacker(url) as attacker:
        assert attacker.erase(id_bytes(made.hers[1])) > 0
    assert run("db", "rebuild", "--store", url).exit_code == 0
    return made


def test_no_reader_calls_it_erased(store_url: str) -> None:
    made = taken(store_url)
    (shown,) = json_lines(run("show", made.hers[1], "--json", "--store", store_url), "show")
    assert "erased" not in shown
    assert [one["kind"] for one in shown["findings"]] == ["not_as_written"]
    text = run("show", made.hers[1], "--store", store_url).stdout
    assert SAID in text
    assert "erased" not in text
    rows = {row["id"]: row for row in json_lines(run("list", "--json", "--store", store_url), "list")}
    assert not any("erased" in row for row in rows.values())
    assert SAID in rows[made.hers[1]]["not_as_written"]
    assert "not as written" in run("list", "--store", store_url).stdout
    with Store(store_url) as store:
        assert store.exchange(made.hers[1]).not_as_written is not None
    assert verified(store_url)["verdicts"]["unmodified"] == "no"


def test_a_list_says_so_though_its_rows_are_of_before(store_url: str) -> None:
    made = recorded(store_url)
    with Attacker(store_url) as attacker:
        attacker.erase(id_bytes(made.hers[1]))
    rows = {row["id"]: row for row in json_lines(run("list", "--json", "--store", store_url), "list")}
    assert SAID in rows[made.hers[1]]["not_as_written"]
    assert not any("not_as_written" in rows[one] for one in (made.hers[0], made.other))
    assert "not as written" in run("list", "--store", store_url).stdout


def test_a_trace_says_so_and_fails(store_url: str) -> None:
    made = taken(store_url)
    result = run("trace", "order:1", "--json", "--store", store_url)
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    (step,) = [one for one in found["steps"] if one["exchange"] == made.hers[1]]
    assert "erased" not in step
    assert SAID in step["not_as_written"]


def test_a_link_without_what_it_said_is_told(store_url: str) -> None:
    recorded(store_url)
    with Attacker(store_url) as attacker, Store(store_url) as store:
        (row,) = store.reader.links_of_thing("order", "1")
        attacker.erase(row.stream)
    result = run("trace", "order:1", "--store", store_url)
    assert result.exit_code == 1
    assert SAID in result.stdout


@pytest.mark.parametrize("name", ["markdown", "html", "json", "jsonl", "otlp", "csv", "har"])
def test_exports_say_so(store_url: str, name: str) -> None:
    made = taken(store_url)
    result = run("export", made.hers[1], "--format", name, "--store", store_url)
    assert SAID in result.stdout or name == "har"  # which has no entry without a request
    assert SAID in result.stderr
    assert "was erased" not in result.stdout + result.stderr


def test_a_bundle_says_so_on_its_cover_and_in_its_transcripts(store_url: str, tmp_path: Path) -> None:
    taken(store_url)
    out = tmp_path / "evidence.zip"
    result = run("bundle", "--order", "1", "-o", str(out), "--store", store_url)
    assert out.exists(), result.stderr
    with zipfile.ZipFile(out) as packed:
        pages = {name: packed.read(name).decode() for name in packed.namelist() if name.endswith((".html", ".md"))}
    assert "in 1 of them, without a record: nobody says who did it" in pages["COVER.html"]
    assert "who erased it" not in pages["COVER.html"]
    assert SAID in pages["transcript.md"]
    assert SAID in pages["transcript.html"]


def test_one_erased_on_record_is_still_called_erased(store_url: str, tmp_path: Path) -> None:
    made = taken(store_url)
    with Store(store_url) as store:  # which has looked for records before this one is there
        assert store.exchange(made.hers[1]).not_as_written is not None
        erase(store_url, made.hers[0])
        assert store.exchange(made.hers[0]).erased is not None
        assert store.exchange(made.hers[0]).not_as_written is None
    out = tmp_path / "evidence.zip"
    run("bundle", "--exchange", made.hers[0], "-o", str(out), "--store", store_url)
    with zipfile.ZipFile(out) as packed:
        cover = packed.read("COVER.html").decode()
    assert "what was said in 1 of them; who erased it, and why, is here" in cover


def test_nothing_is_played_of_it(store_url: str) -> None:
    made = taken(store_url)
    with closing(open_store(store_url, write=False)) as store:
        assert id_bytes(made.hers[1]) in erased_streams(store)
    with pytest.raises(NoMatchingExchange) as missed, Player(store_url) as player:
        ask(player.mount(requests.Session()), "http://127.0.0.1:9/v1/chat/completions", "More Zwetschgenknoedel!")
    assert "was erased" not in str(missed.value)
