"""What a test in any language can ask the server itself, below a path that no recording has.

``GET /_recorder/health``, ``GET /_recorder/status`` and ``POST /_recorder/reset``.
"""

from __future__ import annotations

from typing import Final

from recorder.serving.asked import Asked
from recorder.serving.refusals import HEADER, Reply, refusal, reply
from recorder.serving.tally import Report

PREFIX: Final = "/_recorder/"
_METHODS: Final = {"health": "GET", "status": "GET", "reset": "POST"}


class Control:
    """Answers what is asked of the server itself.

    :param report: what it tells of itself.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._forgotten = 0

    def reply(self, asked: Asked) -> Reply:
        """Return the answer to a request below :data:`PREFIX`."""
        name = asked.target.partition("?")[0].removeprefix(PREFIX)
        method = _METHODS.get(name)
        if method is None:
            known = ", ".join(f"{one} {PREFIX}{each}" for each, one in _METHODS.items())
            return refusal(404, "no_such_path", f"there is no {PREFIX}{name}: use {known}")
        if asked.method != method and (asked.method, method) != ("HEAD", "GET"):
            said = refusal(405, "wrong_method", f"{asked.target} is for {method}")
            return Reply(said.status, {**said.headers, "allow": method}, said.body)
        if name == "health":
            return reply({"ok": True})
        if name == "status":
            return reply(self._report.value(self._forgotten))
        if asked.header(HEADER) is None:
            told = f"resetting needs the header {HEADER}, with any value: no page of another site can send it"
            return refusal(403, "header_missing", told)
        answers = self._report.answers
        answers.rewind()
        self._forgotten = len(answers.misses)
        return reply({"ok": True})
