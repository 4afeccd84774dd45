"""What the kernels of hosts said of their clocks: the journal's ``clock_sampled`` events, counted.

The kernel knows from its time daemon whether the clock is synchronised, and bounds its error (adjtimex(2)). It is the
host's own word: it says how good the times of an honest host are, and proves nothing against its owner.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class ClockSamples:
    """Counts samples.

    :ivar samples: how many there are.
    :ivar known: those in which the kernel said whether its clock is synchronised.
    :ivar synchronised: those in which it said that it is.
    :ivar maxerror_us: the largest error that a synchronised clock may have had, in microseconds; None where none said.
    """

    samples: int = 0
    known: int = 0
    synchronised: int = 0
    maxerror_us: int | None = None

    def take(self, facts: Mapping[str, Any]) -> None:
        """Take the facts of a ``clock_sampled`` event; values of another type count as absent."""
        self.samples += 1
        said, error = facts.get("synchronized"), facts.get("maxerror_us")
        self.known += isinstance(said, bool)
        if said is True:
            self.synchronised += 1
            if type(error) is int:
                self.maxerror_us = max(error, self.maxerror_us or 0)

    def words(self) -> Iterator[str]:
        """Yield a sentence on what they say, and one on what they leave open."""
        if not self.known:
            yield "no kernel said whether its clock was synchronised: how far the clocks were from UTC is not known"
            return
        told = f"kernels called their clocks synchronised in {self.synchronised:,} of {self.known:,} samples"
        if self.maxerror_us is not None:
            told += f", with an error of at most {self.maxerror_us / 1000:,.3f} ms"
        yield told
        if self.samples > self.known:
            yield f"in {self.samples - self.known:,} samples the kernel said nothing of it"
