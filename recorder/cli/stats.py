"""``recorder stats``: how many exchanges, how they ended, tokens and times."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click

from recorder.api.store import Store
from recorder.cli.application import Settings, json_option, pass_settings, store_option
from recorder.cli.once import command
from recorder.cli.output import (
    Column,
    clean,
    counted,
    dim,
    duration,
    emit_json,
    table,
    tell_nothing_fits,
    terminal_width,
    verdict,
)
from recorder.cli.selecting import Selection, selection_options
from recorder.core.json_text import rfc3339
from recorder.core.statistics import GROUPINGS, Group, collect, read_prices
from recorder.errors import ConfigurationError

_BAR: Final = 20  # columns of the longest bar
_COLUMNS: Final = (
    Column("", shrinks=True),
    Column("EXCHANGES", right=True),
    Column("", spare=1),
    Column("NOT COMPLETE", right=True),
    Column("TOKENS IN", right=True),
    Column("TOKENS OUT", right=True),
    Column("COMPUTED COST", right=True),
    Column("FIRST p50", right=True, spare=3),
    Column("p99", right=True, spare=4),
    Column("TIME p50", right=True, spare=2),
    Column("p99", right=True, spare=5),
)


@command()
@click.option("--by", type=click.Choice(GROUPINGS), help="One line for each.")
@click.option(
    "--prices",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help='Compute costs from this file: JSON, {"MODEL": {"input": PRICE, "output": PRICE}}, per million tokens.',
)
@selection_options
@json_option
@store_option
@pass_settings
def stats(settings: Settings, selection: Selection, by: str | None, file: Path | None, as_json: bool) -> None:
    """Count exchanges, tokens and times.

    Tokens are those that the providers reported. Percentiles are by nearest rank.
    """
    prices = None if file is None else _prices(file)
    with Store(settings.store) as store:
        total, groups = collect(_rows(store, selection, by), by, prices)
    ordered = sorted(groups.items(), key=lambda each: each[0] if by == "day" else (-each[1].exchanges, each[0]))
    if as_json:
        for name, group in ordered:
            emit_json(group.as_json(name))
        if by is None:
            emit_json(total.as_json(None))
        return
    if not total.exchanges:
        tell_nothing_fits()
        return
    for line in [*_whole(total), *_grouped(ordered, by or "")]:
        click.echo(line)


def _rows(store: Store, selection: Selection, by: str | None) -> Iterator[dict[str, Any]]:
    """The exchanges; by day each with its day: as filters, the first moment of it and of the next one leave it."""
    if by != "day":
        return selection.of(store)
    return ({**row, "day": rfc3339(at_ns)[:10]} for at_ns, row in store.timed(None, **selection.filters))


def _prices(file: Path) -> dict[str, dict[str, float]]:
    try:
        return read_prices(json.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read ({error.strerror}): give a file with prices") from error
    except ValueError as error:
        raise ConfigurationError(f"{file} is no price file: {error}") from error


def _whole(total: Group) -> Iterator[str]:
    def line(name: str, text: str) -> str:
        return f"{dim(f'{name:17}')}{text}"

    ended = ", ".join(f"{verdict(word)} {number:,}" for word, number in total.verdicts.most_common())
    yield line("exchanges", f"{total.exchanges:,} ({ended})")
    if total.untimed:
        untimed = f"{counted(total.untimed, 'exchange')}, imported: days and filters take the time of the import"
        yield line("not told when", untimed)
    yield line("received", f"{counted(total.chunks, 'chunk')}, {counted(total.bytes, 'byte')}")
    if total.tokens:
        kinds = ", ".join(f"{kind} {number:,}{_of_some(total, kind)}" for kind, number in total.tokens.most_common())
        missing = total.exchanges - total.reported
        yield line("tokens", kinds + (f"; {counted(missing, 'exchange')} reported none" if missing else ""))
    costs = [] if total.cost is None else [_money(total.cost)]
    if total.unpriced:
        costs.append(f"{counted(total.unpriced, 'exchange')} of models without a price")
    if costs:
        yield line("computed cost", "; ".join(costs))
    for name, sample in (("first chunk", total.first_chunk_ms), ("time", total.duration_ms)):
        found = sample.percentiles()
        if found is not None:
            yield line(name, ", ".join(f"{each} {duration(value)}" for each, value in found.items()))
    rates = total.chunks_per_second.percentiles()
    if rates is not None:
        yield line("chunks a second", ", ".join(f"{each} {value:,.1f}" for each, value in rates.items()))


def _of_some(group: Group, kind: str) -> str:
    """Of how many exchanges a sum is, where others report tokens and none of this kind: no total is of them all."""
    number = group.reported_kinds[kind]
    return "" if number == group.reported else f" (of {counted(number, 'exchange')} only)"


def _money(cost: float) -> str:
    """At least four decimals, and two digits that are not zero: an answer may cost a millionth."""
    decimals = 4 if not cost else max(4, 1 - math.floor(math.log10(abs(cost))))
    return f"{cost:,.{decimals}f}"


def _grouped(groups: list[tuple[str, Group]], by: str) -> list[str]:
    if not groups:
        return []
    most = max(group.exchanges for _, group in groups)
    rows = [_cells(name, group, most) for name, group in groups]
    columns = (Column(by.upper(), shrinks=True), *_COLUMNS[1:])
    return ["", *table(columns, rows, terminal_width())]


def _cells(name: str, group: Group, most: int) -> list[str]:
    first, took = group.first_chunk_ms.percentiles(), group.duration_ms.percentiles()

    def shown(found: dict[str, float] | None, which: str) -> str:
        return "" if found is None else duration(found[which])

    def tokens(kind: str) -> str:
        return f"{group.tokens[kind]:,}" if kind in group.tokens else ""

    unfinished = group.exchanges - group.verdicts["complete"]
    return [
        clean(name) or "(none)",
        f"{group.exchanges:,}",
        "█" * max(round(group.exchanges / most * _BAR), 1),
        f"{unfinished:,}" if unfinished else "",
        tokens("input"),
        tokens("output"),
        "" if group.cost is None else _money(group.cost),
        shown(first, "p50"),
        shown(first, "p99"),
        shown(took, "p50"),
        shown(took, "p99"),
    ]
