"""No order is ever placed on a partial answer: the bot is run at every place where the stream can break.

``BOT=careless_bot pytest examples/trading_bot`` runs the same test on the bot with the bug.
"""

from __future__ import annotations

import importlib
import os
from functools import partial

import pytest
import requests
from bot import Order

from recorder.faults import done_missing, error_in_stream, every_cut, rechunk, status

decide = importlib.import_module(os.environ.get("BOT", "bot")).decide

URL = "http://model.example/v1/chat/completions"
QUESTION = "EUR/USD broke 1.0880 on volume. Act within the limits of the desk."
WHOLE = Order("EURUSD", "buy", 15_000)


@pytest.mark.recorded("order")
def test_the_whole_answer_is_an_order(recorded_session: requests.Session) -> None:
    assert decide(recorded_session, URL, QUESTION) == WHOLE


@pytest.mark.recorded("order", fault=[rechunk("bytes"), rechunk("whole"), rechunk("random")])
def test_so_it_is_however_it_comes(recorded_session: requests.Session) -> None:
    assert decide(recorded_session, URL, QUESTION) == WHOLE


@pytest.mark.recorded("order", fault=every_cut)
def test_no_order_when_the_connection_closes(recorded_session: requests.Session) -> None:
    assert decide(recorded_session, URL, QUESTION) is None


@pytest.mark.recorded("order", fault=partial(every_cut, by="bytes", how="reset", most=120))
def test_no_order_when_the_connection_is_reset_at_any_byte(recorded_session: requests.Session) -> None:
    assert decide(recorded_session, URL, QUESTION) is None


@pytest.mark.recorded("order", fault=[status(429), status(503), error_in_stream(4), done_missing()])
def test_no_order_when_the_server_says_that_something_is_wrong(recorded_session: requests.Session) -> None:
    assert decide(recorded_session, URL, QUESTION) is None
