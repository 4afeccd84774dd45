"""Requests of a test that has ended, as a thread makes them that it has not waited for.

The test is judged by then, and another one may be running whose fault it is not. So they are answered by nobody, sent
and recorded nowhere, and told at the end of the run.
"""

from __future__ import annotations

from recorder.errors import NoMatchingExchange
from recorder.pytest_plugin.run import Findings


class Late:
    """What is told of the requests that a test makes after its end.

    :param test: node id of the test.
    :param findings: take it.
    """

    def __init__(self, test: str, findings: Findings) -> None:
        self._test = test
        self._findings = findings

    def told(self, request: str) -> str:
        """Return what is told of a request, which is kept for the end of the run."""
        told = (
            f"{request} was made by {self._test} after it had ended, and is not answered: have the test wait for its "
            "threads and tasks"
        )
        self._findings.late.add(told)
        return told

    def miss(self, request: str) -> NoMatchingExchange:
        """Return what is raised for a request.

        :param request: ``METHOD URL``, after redaction.
        """
        return NoMatchingExchange(self.told(request), request=request)
