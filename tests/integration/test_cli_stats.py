"""``recorder stats``, and the filters that commands share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from recorder.store.schema import upgrade
from tests.building import delta
from tests.commands import STREAMED, answered, asking, fill, json_lines, run

COUNTED = {"choices": [], "usage": {"prompt_tokens": 30, "completion_tokens": 6, "total_tokens": 36}}


@pytest.fixture
def url(store_url: str) -> str:
    upgrade(store_url)
    counted = asking(1, ("user", "a")).response(headers=STREAMED)
    counted.sse(delta(role="assistant", content="b"), delta(finish="stop"), COUNTED).completed()
    plain = answered(2, ("user", "b"))
    cut = asking(3, ("user", "c"), model="m-2").response(headers=STREAMED).sse(delta(content="x"), done=False)
    fill(store_url, counted, plain, cut.event("response_truncated", {"received": 1}))
    return store_url


def objects(*arguments: str) -> list[dict[str, Any]]:
    done = run(*arguments)
    assert done.exit_code == 0, done.stderr
    return json_lines(done, "stats")


def test_the_whole_for_people(url: str) -> None:
    shown = run("stats", "--store", url).stdout
    assert "exchanges        3 (complete 2, truncated 1)" in shown
    assert "total 36, input 30, output 6; 2 exchanges reported none" in shown
    assert "computed cost" not in shown
    assert "time             p50" in shown


def test_a_total_that_not_every_provider_reports_says_of_how_many_it_is(url: str) -> None:
    message = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "b"}], "usage": {"input_tokens": 7, "output_tokens": 2},
    }  # fmt: skip
    apart = asking(4, ("user", "d")).response(headers=[("content-type", "application/json")])
    fill(url, apart.chunks(json.dumps(message).encode()).completed())
    shown = run("stats", "--store", url).stdout
    assert "input 37, total 36 (of 1 exchange only), output 8; 2 exchanges reported none" in shown
    (whole,) = objects("stats", "--json", "--store", url)
    assert whole["tokens"] == {"input": 37, "output": 8, "total": 36}
    assert whole["exchanges_with_kinds"] == {"input": 2, "output": 2, "total": 1}


def test_groups_and_costs(url: str, tmp_path: Path) -> None:
    prices = tmp_path / "prices.json"
    prices.write_text(json.dumps({"m-1": {"input": 1000, "output": 10_000}}))
    shown = run("stats", "--by", "verdict", "--prices", str(prices), "--store", url).stdout
    assert "computed cost    0.0900\n" in shown
    (complete,) = [line for line in shown.splitlines() if line.startswith("complete")]
    assert "0.0900" in complete
    assert complete.split()[1] == "2"
    complete_json, truncated = objects("stats", "--by", "verdict", "--prices", str(prices), "--json", "--store", url)
    assert (complete_json["group"], complete_json["computed_cost"]) == ("complete", pytest.approx(0.09))
    assert (truncated["group"], truncated["exchanges"], truncated.get("tokens")) == ("truncated", 1, None)


@pytest.mark.parametrize(
    ("price", "shown"),  # 30 tokens in, at a price for a million
    [(1, "0.000030"), (0.05, "0.0000015"), (33, "0.00099"), (100, "0.0030"), (0, "0.0000"), (10_000_000, "300.0000")],
)
def test_a_cost_that_is_not_zero_is_not_shown_as_zero(url: str, tmp_path: Path, price: float, shown: str) -> None:
    prices = tmp_path / "prices.json"
    prices.write_text(json.dumps({"m-1": {"input": price, "output": 0}}))
    lines = run("stats", "--by", "verdict", "--prices", str(prices), "--store", url).stdout.splitlines()
    assert any(line.startswith("computed cost ") and line.split()[2].rstrip(";") == shown for line in lines)
    assert any(line.startswith("complete ") and shown in line.split() for line in lines)


def test_without_groups_json_is_one_object(url: str) -> None:
    (whole,) = objects("stats", "--json", "--store", url)
    assert (whole["exchanges"], whole["tokens"]) == (3, {"input": 30, "output": 6, "total": 36})
    assert "group" not in whole


def test_filters_select_what_is_counted_and_listed(url: str) -> None:
    (whole,) = objects("stats", "--verdict", "truncated", "--json", "--store", url)
    assert whole["exchanges"] == 1
    listed = [json.loads(line) for line in run("list", "--json", "--store", url).stdout.splitlines()]
    times = sorted(row["started_at"] for row in listed)
    since = run("list", "--json", "--since", times[1][:26], "--store", url)
    assert len(since.stdout.splitlines()) == sum(time[:26] >= times[1][:26] for time in times)
    assert run("list", "--json", "--until", "1999-01-01", "--store", url).stdout == ""
    assert run("list", "--json", "--since", "1h", "--store", url).exit_code == 0
    none = run("stats", "--until", "1999-01-01", "--store", url)
    assert (none.exit_code, none.stdout, none.stderr) == (0, "", "nothing is recorded that fits\n")


def test_what_the_provider_counted_is_listed(url: str) -> None:
    listed = json_lines(run("list", "--json", "--store", url), "list")
    assert [row.get("tokens") for row in listed][-1] == {"input": 30, "output": 6, "total": 36}
    assert [row.get("finish") for row in listed] == [None, ["stop"], ["stop"]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no price file"),
        ("[]", "it has to be"),
        ('{"m": {"x": 1}}', "has a price for 'x'"),
        (None, "cannot be read"),
    ],
)
def test_a_bad_price_file_is_one_line(url: str, tmp_path: Path, text: str | None, message: str) -> None:
    file = tmp_path / "prices.json"
    if text is not None:
        file.write_text(text)
    done = run("stats", "--prices", str(file), "--store", url)
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_time_that_is_none_is_one_line(url: str) -> None:
    done = run("list", "--since", "soon", "--store", url)
    assert done.exit_code == 2
    assert "'soon' is no time: write an age like 15m" in done.stderr
    assert done.stderr.count("\n") == 1
