"""What the times of a store come to: the verdict ``bounded_in_time``, with its bounds in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from recorder.core.clock_bounds import Bounds
from recorder.core.clock_samples import ClockSamples
from recorder.core.utc_text import rfc3339

_SECOND: Final = 1e9


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer with its bounds in words.

    :ivar answer: ``yes``: everything is under a time stamp and agrees with it; ``partly``: nothing disagrees, but not
        everything is under one, or some was sealed late; ``no``: something disagrees; ``not proved``: nothing is under
        one, and nothing disagrees.
    :ivar words: one sentence each.
    """

    answer: Literal["yes", "partly", "no", "not proved"]
    words: tuple[str, ...]


def verdict_of(bounds: Bounds, steps: int = 0, samples: ClockSamples | None = None) -> Verdict:
    """Return the verdict ``bounded_in_time``; after the last event.

    :param steps: how often clocks of hosts were stepped, see :mod:`recorder.core.clock_steps`.
    :param samples: what the hosts' kernels said of their clocks.
    """
    words = [*_words(bounds), *((samples or ClockSamples()).words())]
    if steps:
        words.append(f"clocks of hosts were stepped {steps:,} times while events were recorded: see the findings")
    if bounds.found or steps:
        return Verdict("no", tuple(words))
    if not bounds.kept["stamped"]:
        return Verdict("not proved", tuple(words))
    whole = not (bounds.late or bounds.older or bounds.kept["unstamped"] or bounds.kept["unsealed"])
    return Verdict("yes" if whole else "partly", tuple(words))


def _words(bounds: Bounds) -> Iterator[str]:
    newest, kept = bounds.seals.newest, bounds.kept
    lag, apart = (f"{span / _SECOND:,.0f} s" for span in (bounds.seal_lag_ns, bounds.seals.apart_ns))
    if newest is None or not kept["stamped"]:
        yield "no event is under a time stamp that was verified: nobody but the recorder says when anything was"
    else:
        yield (
            f"{kept['stamped']:,} of {sum(kept.values()):,} events are under a time stamp, and existed when it was "
            f"made; the newest, by {newest.by} over {newest.size:,} leaves, is of {rfc3339(newest.not_after_ns)}"
        )
    if kept["unstamped"]:
        yield f"{kept['unstamped']:,} events are sealed and not under a time stamp: only the log's clock dates them"
    if kept["unsealed"]:
        yield f"{kept['unsealed']:,} events are not sealed: only the clock of their host dates them"
    if bounds.late:
        yield (
            f"{bounds.late:,} events were sealed more than {lag} after the time that "
            "they say; a journal tells why, but that they are that old is not proved"
        )
    if bounds.older:
        yield (
            f"{bounds.older:,} events say to be older than the ledger: nothing but themselves tells so, and whoever "
            "could write the store until they were sealed can have made them"
        )
    yield f"clocks that differ by less than {apart}, and seals that come within {lag}, are taken for agreeing"
