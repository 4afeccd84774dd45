"""A flight recorder for LLM conversations.

::

    from recorder import Recorder, Player

    with Recorder("sqlite:///trades.db") as recorder:
        session = recorder.mount(requests.Session())
        session.post(url, json=..., stream=True)

    with Player("sqlite:///trades.db") as player:
        offline = player.mount(requests.Session())
"""

from recorder.api.recorder import Recorder

__all__ = ["Recorder"]
__version__ = "0.1.0"
