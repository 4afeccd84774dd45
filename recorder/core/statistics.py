"""Statistics over exchanges: how many, how they ended, tokens, times. Pure: rows of ``list --json`` in, groups out.

Tokens are those that providers reported, summed over exchanges (never over the reports of one exchange); an exchange
without a report adds nothing, and how many those are is told. Providers do not report the same kinds, some no total: so
a sum is one of those exchanges that have its kind, and how many those are is told of each. Money is computed from
prices that the user gives, and only from reported tokens.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from recorder.core.json_text import present
from recorder.core.token_counting import whole_input, whole_output

_PERCENTILES: Final = (50, 90, 99)
_MILLION: Final = 1_000_000
#: What a group can be made by, and how its name is read from a row.
GROUPINGS: Final = ("model", "day", "conversation", "verdict", "dialect")
#: Kinds of tokens that a price can be for, per million.
PRICED: Final = ("input", "output", "cached", "cache_written", "reasoning")


@dataclass(slots=True)
class Sample:
    """Measured values; the percentiles are by nearest rank (the smallest value that p % of all do not exceed)."""

    values: array[float] = field(default_factory=lambda: array("d"))

    def add(self, value: float | None) -> None:
        """Take a value, if there is one."""
        if value is not None:
            self.values.append(value)

    def percentiles(self) -> dict[str, float] | None:
        """Return ``p50``, ``p90``, ``p99`` and ``max``; None where nothing was measured."""
        if not self.values:
            return None
        ordered = sorted(self.values)
        found = {f"p{each}": ordered[max(math.ceil(each / 100 * len(ordered)) - 1, 0)] for each in _PERCENTILES}
        return {**found, "max": ordered[-1]}


@dataclass(slots=True)
class Group:
    """What the exchanges of one group add up to.

    :ivar untimed: exchanges that were imported and of which nothing tells when they were sent.
    :ivar reported: exchanges for which tokens were reported.
    :ivar reported_kinds: of those, how many have each kind.
    :ivar unpriced: of those, how many have a model without a price.
    :ivar cost: of the others; None where no prices were given.
    """

    exchanges: int = 0
    bytes: int = 0
    chunks: int = 0
    untimed: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)
    reported: int = 0
    reported_kinds: Counter[str] = field(default_factory=Counter)
    cost: float | None = None
    unpriced: int = 0
    first_chunk_ms: Sample = field(default_factory=Sample)
    duration_ms: Sample = field(default_factory=Sample)
    chunks_per_second: Sample = field(default_factory=Sample)

    def add(self, row: Mapping[str, Any], prices: Mapping[str, Mapping[str, float]] | None = None) -> None:
        """Take one exchange.

        :param row: a line of ``list --json``.
        :param prices: per million tokens, by model and kind.
        """
        self.exchanges += 1
        self.bytes += row["bytes"]
        self.untimed += "started_at" not in row
        chunks = row.get("chunks", 0)
        self.chunks += chunks
        self.verdicts[row["verdict"]] += 1
        counted: Mapping[str, int] = row.get("tokens") or {}
        if counted:
            self.reported += 1
            self.tokens.update(counted)
            self.reported_kinds.update(counted.keys())
            if prices is not None:
                self._price(counted, prices.get(row.get("model", "")), row.get("dialect") or "")
        self.first_chunk_ms.add(row.get("first_chunk_ms"))
        took = row.get("duration_ms")
        self.duration_ms.add(took)
        if took and chunks:
            self.chunks_per_second.add(chunks * 1000 / took)

    def _price(self, counted: Mapping[str, int], price: Mapping[str, float] | None, dialect: str) -> None:
        if price is None:
            self.unpriced += 1
            return
        # What is priced by itself is not charged as part of the input or the output, and what is not, is.
        apart = sum(counted.get(kind, 0) for kind in ("cached", "cache_written") if kind in price)
        input_tokens = (whole_input(counted, dialect) or 0) - apart
        reasoning = counted.get("reasoning", 0) if "reasoning" in price else 0
        output_tokens = (whole_output(counted, dialect) or 0) - reasoning
        charged = {**counted, "input": max(input_tokens, 0), "output": max(output_tokens, 0)}
        spent = sum(charged.get(kind, 0) * price[kind] / _MILLION for kind in PRICED if kind in price)
        self.cost = (self.cost or 0.0) + spent

    def as_json(self, name: str | None) -> dict[str, Any]:
        """Return it as ``stats --json`` prints it; absent is absent."""
        return present(
            group=name,
            exchanges=self.exchanges,
            exchanges_without_time=self.untimed or None,
            verdicts=dict(sorted(self.verdicts.items())),
            chunks=self.chunks,
            bytes=self.bytes,
            tokens=dict(sorted(self.tokens.items())) or None,
            exchanges_with_tokens=self.reported or None,
            exchanges_with_kinds=dict(sorted(self.reported_kinds.items())) or None,
            computed_cost=self.cost,
            exchanges_without_price=self.unpriced or None,
            first_chunk_ms=self.first_chunk_ms.percentiles(),
            duration_ms=self.duration_ms.percentiles(),
            chunks_per_second=self.chunks_per_second.percentiles(),
        )


def collect(
    rows: Iterable[Mapping[str, Any]],
    by: str | None = None,
    prices: Mapping[str, Mapping[str, float]] | None = None,
) -> tuple[Group, dict[str, Group]]:
    """Return what all rows add up to, and what each group does.

    :param rows: lines of ``list --json``; for groups by day each with its ``day``, that of the time by which filters
        by time choose it.
    :param by: one of :data:`GROUPINGS`; None for no groups.
    """
    total, groups = Group(), dict[str, Group]()
    for row in rows:
        total.add(row, prices)
        if by is not None:
            groups.setdefault(_name(row, by), Group()).add(row, prices)
    return total, groups


def _name(row: Mapping[str, Any], by: str) -> str:
    if by == "conversation":
        return str(row.get("conversation_name") or row.get("conversation") or "")
    return str(row.get(by) or "")


def read_prices(value: Any) -> dict[str, dict[str, float]]:
    """Return prices from the JSON of a price file: ``{model: {"input": per million, "output": …}}``.

    :raises ValueError: it says something else; the message names what.
    """
    if not isinstance(value, dict) or not value:
        raise ValueError('it has to be {"MODEL": {"input": PRICE, "output": PRICE}}, prices per million tokens')
    prices: dict[str, dict[str, float]] = {}
    for model, kinds in value.items():
        if not isinstance(kinds, dict):
            raise ValueError(f"the prices of {model!r} are no object")
        for kind, price in kinds.items():
            if kind not in PRICED:
                raise ValueError(f"{model!r} has a price for {kind!r}: use {_listed(PRICED)}")
            if isinstance(price, bool) or not isinstance(price, int | float) or not 0 <= price < math.inf:
                raise ValueError(f"the {kind} price of {model!r} is no number from 0 up")
        prices[model] = {kind: float(price) for kind, price in kinds.items()}
    return prices


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
