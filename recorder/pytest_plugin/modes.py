"""What a mode means: whether a test plays, calls live, or both, and what becomes of its cassette. Pure.

============  ==============  ==================================  =============================================
mode          no cassette     a cassette is there                 its file
============  ==============  ==================================  =============================================
none          all is missed   plays; what is not there is missed  is never touched
once          records         plays; what is not there is missed  is made, exchange by exchange
new_episodes  records         plays; what is not there is sent    is added to, exchange by exchange
all           records         sends everything                    same requests are replaced, once it has passed
rewrite       records         sends everything                    is replaced, once its tests have passed
verify        fails           sends everything, and compares      is never touched
============  ==============  ==================================  =============================================

Tests that share a cassette record it together: one that this run has begun is gone on with. What the tests that a run
leaves out have recorded stays, whatever the mode.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal


class Mode(StrEnum):
    """How a recorded test gets its answers."""

    NONE = "none"
    ONCE = "once"
    NEW_EPISODES = "new_episodes"
    ALL = "all"
    REWRITE = "rewrite"
    VERIFY = "verify"


#: Where what is sent is recorded: nowhere, in the cassette, in a file beside it that takes its place later, or in one
#: that is thrown away.
Target = Literal["nowhere", "cassette", "beside", "apart"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What one test does.

    :ivar plays: the cassette answers what it knows.
    :ivar target: where the rest is recorded; it is sent unless that is ``nowhere``.
    """

    plays: bool
    target: Target

    @property
    def sends(self) -> bool:
        """Whether anything can reach the network."""
        return self.target != "nowhere"


_THERE: Final[dict[Mode, Plan]] = {
    Mode.NONE: Plan(True, "nowhere"),
    Mode.ONCE: Plan(True, "nowhere"),
    Mode.NEW_EPISODES: Plan(True, "cassette"),
    Mode.ALL: Plan(False, "beside"),
    Mode.REWRITE: Plan(False, "beside"),
    Mode.VERIFY: Plan(False, "apart"),
}


def plan_of(mode: Mode, *, exists: bool, begun: Target | None = None) -> Plan:
    """Return what a test does.

    :param exists: its cassette is there.
    :param begun: where this test run has begun to record it; None where it has not.
    """
    if mode in (Mode.NONE, Mode.VERIFY):
        return _THERE[mode]
    if begun is not None and mode is not Mode.NEW_EPISODES:
        return Plan(False, begun)
    return _THERE[mode] if exists else Plan(False, "cassette")


def mode_of(asked: str | None, marked: str | None, configured: str, *, in_ci: bool, only_plays: bool = False) -> Mode:
    """Return the mode that counts.

    :param asked: the command line's, which counts before all others.
    :param marked: the test's own.
    :param configured: that of the configuration file.
    :param in_ci: the environment says ``CI``: only the command line can ask for another mode than none.
    :param only_plays: the test has a fault, which is for playing.
    :raises ValueError: there is no such mode.
    """
    if only_plays:
        return Mode.NONE
    if asked is not None:
        return Mode(asked)
    return Mode.NONE if in_ci else Mode(marked or configured)
