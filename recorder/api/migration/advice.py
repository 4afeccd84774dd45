"""What stands for what: options, marks and fixtures of vcrpy and its plugins, and ours. Pure.

Where there is no equivalent, the advice says why none is needed, or what a test has to be given instead.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Set
from pathlib import PurePath
from typing import Any, Final, NamedTuple

from recorder.core.credentials import is_credential_header, is_credential_parameter

UNKNOWN: Final = object()


class Option(NamedTuple):
    """An option that is given to vcrpy.

    :ivar value: as it is written, with what names in it stand for; ``node`` is where.
    :ivar path: of the module that it is in.
    """

    name: str
    value: ast.expr
    node: ast.expr
    path: PurePath = PurePath()


def constant(node: ast.expr) -> Any:
    """Return what an expression says, where it is written down as a plain value; else :data:`UNKNOWN`."""
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return UNKNOWN


def names_in(value: Any) -> list[str]:
    """Return the names that a filter of vcrpy has: of texts, or of pairs of a name and what stands for its value."""
    if not isinstance(value, list | tuple | set):
        return []
    firsts = (each[0] if isinstance(each, list | tuple) and each else each for each in value)
    return [each for each in firsts if isinstance(each, str)]


def fixture_for(libraries: Set[str], *, is_async: bool) -> str:
    """Return the fixture for a test whose module imports these libraries."""
    if libraries & {"httpx", "httpx2", "openai", "anthropic", "mistralai"} and "requests" not in libraries:
        return "recorded_async_client" if is_async else "recorded_client"
    return "recorded_session"


def instead_of_mark(name: str, cassettes: Iterable[str], fixture: str, module: str) -> str:
    """Return what to write instead of a mark.

    :param cassettes: that it names.
    :param fixture: for the tests of this module, see :func:`fixture_for`.
    :param module: its name.
    """
    cassettes = list(cassettes)
    if name == "vcr":
        told = f"@pytest.mark.recorded, and the test's argument {fixture}, given to the code under test"
        return told + ("; the cassettes that it names are in the test's own" if cassettes else "")
    if name == "default_cassette":
        named = PurePath(cassettes[0]).with_suffix("").as_posix() if cassettes else "NAME"
        return f'@pytest.mark.recorded("{module}/{named}")'
    if name == "block_network":
        return "nothing: recorded tests have no network; recorder_block_network = all is for every test"
    return "nothing: what is recorded first is kept, what replaces a cassette only where the test has passed"


#: What to write instead of vcrpy's classes for unittest.
INSTEAD_OF_CLASS: Final = (
    "unittest.TestCase, with a method under @pytest.fixture(autouse=True) that takes {fixture} and keeps it: "
    "self.session = {fixture}"
)


def instead_of_fixture(name: str, fixture: str) -> str:
    """Return what to use instead of a fixture of vcrpy's plugins."""
    return _FIXTURES.get(name, "{fixture}").format(fixture=fixture)


_FIXTURES: Final = {
    "vcr": "recording (path, mode, misses, unplayed), or {fixture}",
    "vcr_cassette": "recording (path, mode, misses, unplayed), or {fixture}",
    "vcr_config": "fixture recorder_config, which returns arguments of recorded(…) as a dict",
    "vcr_cassette_dir": "setting recorder_cassette_dir, or nothing: cassettes lie beside their modules",
    "vcr_cassette_path": "nothing: @pytest.mark.recorded(NAME) names another cassette",
    "vcr_cassette_name": "nothing: @pytest.mark.recorded(NAME) names another cassette",
    "default_cassette_name": "nothing: @pytest.mark.recorded(NAME) names another cassette",
    "vcr_markers": "nothing: @pytest.mark.recorded",
    "record_mode": "recording.mode; it is set by --recorder-mode, recorder_mode or @pytest.mark.recorded(mode=…)",
    "block_network": "nothing: recorded tests have no network; recorder_block_network = all is for every test",
}


def translated(name: str, value: ast.expr) -> str:
    """Return what to write for an option of vcrpy, as arguments of ``recorded(…)`` or settings.

    :param value: as it is written.
    """
    found = _OPTIONS.get(name)
    if found is None:
        return f"nothing that recorder knows stands for {name}: see docs/howto-ci.md"
    return found if isinstance(found, str) else found(constant(value))


def _mode(value: Any) -> str:
    text = getattr(value, "value", value)
    if text == "none":
        return "nothing: none is the default"
    if text in ("once", "new_episodes", "all"):
        return f'mode="{text}", or --recorder-mode={text}; in CI only the command line counts'
    return 'mode="…": none, once, new_episodes, all; or --recorder-mode'


def _headers(value: Any) -> str:
    return _filtered(names_in(value), "header", is_credential_header)


def _query(value: Any) -> str:
    return _filtered(names_in(value), "query", is_credential_parameter)


def _filtered(names: list[str], kind: str, is_built_in: Callable[[str], bool]) -> str:
    if not names:
        return f'redact=["{kind}:NAME"] for what the built-in rules do not know'
    others = [name for name in names if not is_built_in(name)]
    built_in = [name for name in names if is_built_in(name)]
    told = [f"nothing for {', '.join(built_in)}: built in"] if built_in else []
    return "; ".join([*told, *([f"redact={_list(f'{kind}:{name}' for name in others)}"] if others else [])])


def _post(value: Any) -> str:
    names = names_in(value) or ["NAME"]
    return f"redact={_list(f'body:{name}' for name in names)}; vcrpy's recordings lack them: see the cassettes"


def _match_on(value: Any) -> str:
    names = names_in(value)
    told = ["method, URL and body are always compared"]
    if not names or "headers" in names:
        told.append('match=Match(headers=["NAME"]) for headers that count')
    known = {"method", "scheme", "host", "port", "path", "query", "uri", "body", "raw_body", "headers"}
    if own := [name for name in names if name not in known]:
        told.append(f"match=Match(custom=FUNCTION) for {', '.join(own)}")
    return "; ".join(told)


def _hosts(value: Any) -> str:
    return f"allowed_hosts={_list(names_in(value) or ['HOST'])}: what goes past the recording may reach them"


def _repeats(value: Any) -> str:
    return "nothing: the default" if value is False else "allow_repeats=True, and the rule in its cassette: see there"


def _list(texts: Iterable[str]) -> str:
    return "[" + ", ".join(f'"{text}"' for text in texts) + "]"


_KEPT: Final = "nothing: answers are kept and played as they came; a fault=… changes what is played"
_OPTIONS: Final[dict[str, str | Callable[[Any], str]]] = {
    "record_mode": _mode,
    "filter_headers": _headers,
    "filter_query_parameters": _query,
    "filter_post_data_parameters": _post,
    "filter_nested_post_data_parameters": "nothing: redact= finds body:NAME at every depth",
    "filter_sensitive_data": 'nothing for credentials: built in; else redact=["header:NAME", "body:NAME"]',
    "before_save_interaction": "redact=[…] for secrets; nothing else is changed before it is written",
    "after_load_interaction": _KEPT,
    "skip_patchers": "nothing: nothing is patched; recording.mount(session), recording.httpx_transport()",
    "match_on": _match_on,
    "ignore_hosts": _hosts,
    "ignore_localhost": 'allowed_hosts=["localhost"]: what goes past the recording may reach this machine',
    "allow_playback_repeats": _repeats,
    "decode_compressed_response": "nothing: bodies are kept as they came, and decoded by the client",
    "before_record": "redact=[…] for secrets, match=Match(custom=FUNCTION) for what is not to be compared",
    "before_record_request": "redact=[…] for secrets, match=Match(custom=FUNCTION) for what is not to be compared",
    "before_record_response": f"redact=[…] for secrets; else {_KEPT}",
    "before_playback": _KEPT,
    "cassette_library_dir": "setting recorder_cassette_dir, or nothing: cassettes lie beside their modules",
    "serializer": "nothing: there is one format, for git",
    "persister": "nothing: there is one format, for git",
    "path_transformer": "nothing: cassettes are named after their tests",
    "func_path_generator": "nothing: cassettes are named after their tests",
    "inject_cassette": "the argument recording",
    "custom_patches": "nothing: nothing is patched; recording.mount(session), recording.httpx_transport()",
    "record_on_exception": "nothing: what is recorded first is kept, whether the test passes or not",
    "drop_unused_requests": "setting recorder_unplayed says of them; --recorder-mode=rewrite drops them",
    "allowed_hosts": lambda value: f"allowed_hosts={_list(names_in(value) or ['HOST'])}",
}
