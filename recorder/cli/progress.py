"""How far long work is: a bar on standard error, where that is a terminal; elsewhere nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click


@contextmanager
def progress(label: str, length: int) -> Iterator[Callable[[int], None]]:
    """Yield a function that is told how much more is done; of nothing, and elsewhere than on a terminal, no bar.

    :param label: what is being done, one word.
    :param length: how much there is to do, in units of any size.
    """
    if not length or sys.stderr is None or not sys.stderr.isatty():
        yield lambda _: None
        return
    with click.progressbar(length=length, label=label, file=sys.stderr, show_pos=False) as bar:
        yield bar.update
