"""Several answers to one request: what a format has no place for is counted, in one line, and none is lost silently."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow.parquet
import pytest

from recorder.formats.base import formats
from tests.building import ExchangeBuilder, delta
from tests.commands import STREAMED, answered, asking, fill, identity_of, run

TEACHING = ["openai-jsonl", "sharegpt"]


def several(number: int, *ends: str, asked: str = "pick") -> ExchangeBuilder:
    """Return an exchange with an answer for each finish reason."""
    built = asking(number, ("user", asked)).response(headers=STREAMED)
    said = [delta(at, role="assistant", content=f"answer-{number}-{at}") for at in range(len(ends))]
    return built.sse(*said, *(delta(at, finish=end) for at, end in enumerate(ends))).completed()


def exported(url: str, name: str, *which: str) -> tuple[list[str], str]:
    result = run("export", *which, "--format", name, "--store", url)
    assert result.exit_code == 0, result.stderr
    return result.stdout.splitlines(), result.stderr


@pytest.mark.parametrize("name", TEACHING)
def test_an_answer_of_several_that_has_no_place_is_told(sqlite_url: str, name: str) -> None:
    first, second = several(1, "stop", "length", "stop", "content_filter"), several(2, "length", "stop", asked="other")
    whole, cut = several(3, "stop", "stop", asked="whole"), several(4, "length", "length", asked="cut")
    fill(sqlite_url, first, second, whole, cut)
    lines, told = exported(sqlite_url, name, "--all")
    assert len(lines) == 5
    assert told == (
        f"warning: {name} has no place for 1 exchange: an answer that was cut (1); and for 3 answers of several to one "
        f"request: an answer that was cut (3); choice 1 of {identity_of(first)[-8:]}, choice 3 of "
        f"{identity_of(first)[-8:]}, choice 0 of {identity_of(second)[-8:]}\n"
    )
    assert exported(sqlite_url, name, identity_of(whole))[1] == ""
    assert exported(sqlite_url, name, identity_of(second))[1].count("choice") == 1


@pytest.mark.parametrize("name", TEACHING)
def test_an_answer_of_several_that_nothing_goes_on_from_is_told(sqlite_url: str, name: str) -> None:
    first = several(1, "stop", "stop", "stop")
    went = answered(2, ("user", "pick"), ("assistant", "answer-1-2"), ("user", "go on"), call="call-2")
    fill(sqlite_url, first, went)
    lines, told = exported(sqlite_url, name, "--all")
    assert len(lines) == 1
    assert "answer-1-2" in lines[0]
    assert "for 2 answers of several to one request: an answer that nothing goes on from" in told
    assert all(f"choice {at} of {identity_of(first)[-8:]}" in told for at in (0, 1))
    fill(sqlite_url, answered(3, ("user", "pick"), ("assistant", "answer-1-0"), ("user", "or so"), call="call-3"))
    lines, told = exported(sqlite_url, name, "--all")
    assert len(lines) == 2
    assert "for 1 answer of several to one request" in told
    assert f"; choice 1 of {identity_of(first)[-8:]}\n" in told


def test_what_goes_on_over_one_that_is_no_example_counts(sqlite_url: str) -> None:
    asked = (("user", "pick"), ("assistant", "answer-1-1"), ("user", "go on"))
    middle = asking(2, *asked, call="call-2").response(headers=STREAMED)
    middle.sse(delta(role="assistant", content="half"), delta(finish="length")).completed()
    last = answered(3, *asked, ("assistant", "half"), ("user", "finish it"), call="call-3")
    first = several(1, "stop", "stop")
    fill(sqlite_url, first, middle, last)
    lines, told = exported(sqlite_url, "openai-jsonl", "--all")
    assert len(lines) == 1
    assert told.endswith(f"; choice 0 of {identity_of(first)[-8:]}\n")
    assert "1 answer of several" in told


@pytest.mark.parametrize("name", sorted({*formats()} - {*TEACHING, "parquet"}))
def test_the_other_formats_have_every_answer(sqlite_url: str, name: str) -> None:
    built = several(1, "stop", "length", "content_filter")
    fill(sqlite_url, built)
    lines, told = exported(sqlite_url, name, identity_of(built))
    assert told == ""
    text = "\n".join(lines)
    if name == "csv":  # which has no texts
        (row,) = csv.DictReader(lines)
        assert row["finish_reasons"] == "0=stop 1=length 2=content_filter"
    elif name == "har":
        body = json.loads(text)["log"]["entries"][0]["response"]["content"]["text"]
        assert all(f"answer-1-{at}" in body for at in range(3))
    else:
        assert all(f"answer-1-{at}" in text for at in range(3))


def test_parquet_has_every_answer(sqlite_url: str, tmp_path: Path) -> None:
    built = several(1, "stop", "length")
    fill(sqlite_url, built)
    out = tmp_path / "a.parquet"
    assert run("export", "--all", "--format", "parquet", "-o", str(out), "--store", sqlite_url).exit_code == 0
    assert pyarrow.parquet.read_table(out).column("choice").to_pylist() == [None, 0, 1]
