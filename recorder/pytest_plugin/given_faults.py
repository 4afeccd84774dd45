"""What ``fault=`` gives: a fault or its text, a mapping of them for some exchanges, several of these, or their maker.

::

    fault=status(429)    fault="status:429"    fault={"order": "cut:after-events=1"}
    fault=["status:429", status(503)]          fault=every_cut
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest


def are_several(fault: object) -> bool:
    """Whether a test is run once for each of several faults: a list of them, or a function that makes them."""
    return isinstance(fault, list | tuple) or _makes_faults(fault)


def _makes_faults(fault: object) -> bool:
    return callable(fault) and not hasattr(fault, "apply")


def as_played(fault: Any) -> Any:
    """Return what a player takes: a fault, or a mapping of them, with faults in the place of texts.

    :raises ConfigurationError: it is none.
    """
    from recorder.replay.fault_text import as_fault

    if isinstance(fault, Mapping):
        return {name: as_fault(one) for name, one in fault.items()}
    return as_fault(fault)


def check_fault(where: str, fault: object) -> None:
    """Refuse what is no fault, and a list of none: its test would not be run at all.

    :raises pytest.UsageError: it is that.
    """
    if fault is None or _makes_faults(fault):
        return
    from recorder.errors import ConfigurationError

    if isinstance(fault, list | tuple | Mapping) and not fault:
        raise pytest.UsageError(f"fault={fault!r}{where} holds no fault: name one, as status(429), or leave it out")
    for one in fault if isinstance(fault, list | tuple) else [fault]:
        try:
            as_played(one)
        except ConfigurationError as error:
            raise pytest.UsageError(f"fault={one!r}{where}: {error}") from None


def faults_of(fault: Any, cassette: Path) -> Sequence[Any]:
    """Return the faults with which a test is run one after the other.

    :param fault: several, as the marker has them: a function is asked for those of the cassette.
    :raises RecorderError: the cassette cannot be read, or the answer in it has no place for a fault.
    """
    from recorder.errors import ConfigurationError

    found = cast("Callable[[Path], Sequence[Any]]", fault)(cassette) if _makes_faults(fault) else fault
    if not isinstance(found, list | tuple):
        raise ConfigurationError(f"fault={fault!r} makes {found!r}, which is no list of faults")
    if not found:
        raise ConfigurationError(
            f"the answer in {cassette.name} has no place for a fault, it is empty: record it again, or cut another one"
        )
    return [as_played(one) for one in found]


def told_fault(fault: object) -> str:
    """Return how a fault is told among the parameters of a test."""
    if isinstance(fault, Mapping):
        return ",".join(f"{name}={one}" for name, one in fault.items())
    return str(fault)
