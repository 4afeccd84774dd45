"""The recorder of one test, which refuses what is sent after it was closed."""

from __future__ import annotations

from typing import Any

from recorder.api.recorder import Recorder
from recorder.errors import RecordingError
from recorder.pytest_plugin.late import Late


class OwnRecorder(Recorder):
    """Records for one test.

    :param late: is told of requests that come after its end.
    """

    def __init__(self, target: Any, late: Late, **options: Any) -> None:
        self._late = late
        super().__init__(target, on_failure="raise", **options)

    def _sent_after_closing(self) -> None:
        raise RecordingError(self._late.told("a request"))
