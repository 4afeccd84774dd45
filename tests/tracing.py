"""Threads that start although another one is being measured just then.

Coverage has each thread call ``sys.settrace`` before it runs. CPython 3.11 tells its audit hooks of that while no other
thread may do the same, and a hook in Python, as the pytest plugin's, lets other threads go on: one that starts just
then is given a RuntimeError, and ends before it has begun. Python 3.12 no longer refuses.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable
from typing import Any


def be_patient() -> None:
    """Where Python may refuse to have a thread measured, have it asked again."""
    if sys.version_info >= (3, 12) or hasattr(sys.settrace, "__wrapped__"):
        return
    install: Callable[[Any], None] = sys.settrace

    @functools.wraps(install)
    def patiently(function: Any) -> None:
        while True:
            try:
                return install(function)
            except RuntimeError:
                time.sleep(0)

    sys.settrace = patiently
