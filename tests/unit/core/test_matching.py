"""Which requests are the same."""

from __future__ import annotations

import pytest

from recorder.core.matching import canonical_body, canonical_url, differences, match_key

MARK = "~redacted~key~0123456789abcdef~"


def _key(body: bytes, url: str = "http://h/", places: tuple[str, ...] = ()) -> bytes:
    return match_key("POST", url, body, places)


def test_json_is_compared_as_a_value() -> None:
    assert _key(b'{"a":1,"b":[true,null]}') == _key(b' { "b" : [ true, null ], "a" : 1 } ')
    assert _key(b'{"a":"\\u00e9"}') == _key('{"a":"é"}'.encode())
    assert _key(b'{"a":1}') != _key(b'{"a":true}')
    assert _key(b'{"a":[1,2]}') != _key(b'{"a":[2,1]}')
    assert _key(b'{"a":1,"a":2}') == _key(b'{"a":2}') != _key(b'{"a":1}')


@pytest.mark.parametrize("spelt", [b"1.0", b"1e0", b"10e-1", b"1.000"])
def test_a_number_is_its_value_however_it_is_written(spelt: bytes) -> None:
    assert _key(b'{"a":[%s]}' % spelt) == _key(b'{"a":[1]}')
    assert _key(b'{"a":[%s]}' % spelt) != _key(b'{"a":[true]}')
    assert _key(b'{"a":[%s]}' % spelt) != _key(b'{"a":["1"]}')


def test_large_numbers_are_exact_and_no_number_is_too_large() -> None:
    assert _key(b"[9007199254740993]") != _key(b"[9007199254740992]")
    assert _key(b"[1e22]") == _key(b"[1%s]" % (b"0" * 22))
    assert _key(b"[1e999]") != _key(b"[1e300]")
    assert _key(b"[0.1]") == _key(b"[1e-1]") != _key(b"[0.2]")
    assert differences(("POST", "http://h/", b'{"a":1}'), ("POST", "http://h/", b'{"a":1.0}')) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"12345678901234567890.1", b"12345678901234567890.2"),
        (b"1e400", b"1e401"),
        (b"1e400", b"-1e400"),
        (b"1e-400", b"0"),
        (b"1e-400", b"2e-400"),
        (b"0.1", b"0.1000000000000000055511151231257827"),
        (b"1e23", b"99999999999999991611392"),
        (b"1%s.5" % (b"0" * 400), b"1%s.25" % (b"0" * 400)),
        (b"1e5000", b"1e5001"),
        (b"1e5000", b"Infinity"),
        (b"12345678901234567890.1", b'"12345678901234567890.1"'),
        (b"12345678901234567890.1", b'"123456789012345678901e-1"'),
    ],
)
def test_numbers_that_no_float_holds_are_compared_by_value(one: bytes, other: bytes) -> None:
    assert _key(b'{"b":[%s],"a":1}' % one) != _key(b'{"b":[%s],"a":1}' % other)
    (found,) = differences(("POST", "", b"[%s]" % one), ("POST", "", b"[%s]" % other))
    assert found.startswith("body[0]: ")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"12345678901234567890.1", b"1.23456789012345678901e19"),
        (b"12345678901234567890.10", b"123456789012345678901E-1"),
        (b"1e400", b"1%s" % (b"0" * 400)),
        (b"10e399", b"1e+400"),
        (b"-0.0", b"0"),
        (b"0e999999", b"0"),
        (b"1e23", b"1%s" % (b"0" * 23)),
        (b"1e5000", b"10.0e4999"),
        (b"123456789012345680000.0", b"123456789012345680000"),
        (b"5e-324", b"50e-325"),
    ],
)
def test_a_number_of_any_size_is_its_value_however_it_is_written(one: bytes, other: bytes) -> None:
    assert _key(b'{"b":[%s],"a":{}}' % one) == _key(b'{"a":{},"b":[%s]}' % other)
    assert differences(("POST", "", b"[%s]" % one), ("POST", "", b"[%s]" % other)) == []


def test_numbers_that_a_float_holds_keep_the_key_that_stores_have_of_them() -> None:
    body = b'{"a":[0.7,1.0,-0.001,0.30000000000000004,2.5e-8,5e-324,1e22,-7.0],"b":0.1}'
    expected = b'{"a":[0.7,1,-0.001,0.30000000000000004,2.5e-08,5e-324,1%s,-7],"b":0.1}' % (b"0" * 22)
    assert canonical_body(body) == expected


def test_differences_show_a_number_as_it_was_written() -> None:
    recorded, asked = ("POST", "", b'{"a":12345678901234567890.10}'), ("POST", "", b'{"a":12345678901234567890.2}')
    assert differences(recorded, asked) == ["body.a: 12345678901234567890.10 != 12345678901234567890.2"]


@pytest.mark.parametrize("inner", [b"1e5000", b"1"])
def test_what_is_nested_too_deeply_is_compared_byte_by_byte(inner: bytes) -> None:
    for depth in (400, 700, 950, 5000):
        body = b'{"a":' * depth + inner + b"}" * depth
        assert _key(body) == _key(body) != _key(body + b"x")


def test_an_exponent_of_any_length_fails_nothing() -> None:
    body = b"[1e%s]" % (b"9" * 5000)
    assert canonical_body(body) == body


def test_a_field_of_a_form_that_was_replaced_equals_any_value_of_it() -> None:
    recorded, places = f"password={MARK}&z=1".encode(), ("body:/password",)
    assert _key(recorded, places=places) == _key(b"password=live&z=1", places=places)
    assert _key(recorded, places=places) != _key(b"password=live&z=2", places=places)
    assert _key(recorded, places=places) != _key(b"word=live&z=1", places=places)
    assert _key(b"a%2Fb=%C3%A9&z=1", places=("body:/a/b",)) == _key(b"a%2Fb=x&z=1", places=("body:/a/b",))


@pytest.mark.parametrize("body", [b"", b"plain", b"1", b'{"a":', b"[" * 50_000, b"\xff{"])
def test_anything_else_is_compared_byte_by_byte(body: bytes) -> None:
    assert _key(body) == _key(body)
    assert _key(body) != _key(body + b" ")


def test_parts_do_not_run_into_each_other() -> None:
    assert match_key("POST", "http://h/a", b"b") != match_key("POST", "http://h/ab", b"")
    assert match_key("post", "http://h/", b"") == match_key("POST", "http://h/", b"")


def test_credentials_in_urls_do_not_count_and_everything_else_does() -> None:
    assert canonical_url("http://u:p@h/?key=1&x=2#f") == canonical_url("http://h/?key=9&x=2")
    assert canonical_url("http://h/?x=2") != canonical_url("http://h/?x=3")
    assert canonical_url(f"http://h/?x={MARK}") == canonical_url("http://h/?x=1", ["url:x"])


def test_a_marker_equals_any_value_at_its_place_only() -> None:
    recorded = f'{{"a":{{"b":"{MARK}"}},"c":1}}'.encode()
    assert _key(recorded, places=("body:/a/b",)) == _key(b'{"a":{"b":"live"},"c":1}', places=("body:/a/b",))
    assert _key(recorded, places=("body:/a/b",)) != _key(b'{"a":{"b":"live"},"c":2}', places=("body:/a/b",))
    listed = b'{"l":[{"p":"x"},{"p":"y"}]}'
    assert canonical_body(listed, ["body:/l/1/p"]) == canonical_body(b'{"l":[{"p":"x"},{"p":"z"}]}', ["body:/l/1/p"])
    assert canonical_body(listed, ["body:/l/0"]) == canonical_body(b'{"l":["q",{"p":"y"}]}', ["body:/l/0"])


@pytest.mark.parametrize(
    "place", ["body:/none", "body:/l/9", "body:/l/x", "body:/l/0/p/deeper", "header:x", "body:/~1"]
)
def test_a_place_that_is_not_there_masks_nothing(place: str) -> None:
    body = b'{"l":[{"p":"x"}]}'
    assert canonical_body(body, [place]) == canonical_body(body)


def test_a_payload_that_was_replaced_whole_equals_any() -> None:
    assert canonical_body(b"secret words", ["body:"]) == b""
    assert canonical_body(f"a {MARK} b".encode()) == b"a ~redacted~ b"


def test_differences_name_the_fields() -> None:
    recorded = ("GET", "http://h/a", b'{"m":"x","l":[1,{"k":1}],"gone":1,"same":2}')
    asked = ("post", "http://h/b", b'{"m":"y","l":[1,{"k":1.5},3],"new":null,"same":2}')
    assert differences(recorded, asked) == [
        "method: GET != post",
        "url: http://h/a != http://h/b",
        "body.gone: 1 != (absent)",
        "body.l[1].k: 1 != 1.5",
        "body.l[2]: (absent) != 3",
        'body.m: "x" != "y"',
        "body.new: (absent) != null",
    ]


def test_differences_of_what_is_no_json_or_redacted() -> None:
    assert differences(("GET", "http://h/", b"a"), ("GET", "http://h/", b"b")) == ["body: b'a' != b'b'"]
    assert differences(("GET", "http://h/", b"a"), ("GET", "http://h/", b"a")) == []
    assert differences(("GET", "http://h/", b'{"a":"%s"}' % MARK.encode()), ("GET", "http://h/", b'{"a":"z"}')) == []
    (long,) = differences(("GET", "http://h/", b'{"a":"%s"}' % (b"x" * 99)), ("GET", "http://h/", b'{"a":1}'))
    assert "…" in long
    assert len(long) < 80


def test_what_the_recording_has_redacted_does_not_differ_and_is_not_shown() -> None:
    places = ("url:account", "body:/user/password")
    recorded = ("POST", f"http://h/?account={MARK}&b=1", f'{{"user":{{"password":"{MARK}"}},"a":1}}'.encode())
    asked = ("POST", "http://h/?account=SECRET&b=1", b'{"user":{"password":{"a":"SECRET"}},"a":2}')
    assert differences(recorded, asked, places, places) == ["body.a: 1 != 2"]
    moved = (
        "POST",
        "http://h/?account=SECRET&b=2",
        b'{"x":{"password":["SECRET"]},"user":{"password":"SECRET"},"a":1}',
    )
    assert differences(recorded, moved, places, places) == [
        "url: http://h/?account=~redacted~&b=1 != http://h/?account=~redacted~&b=2",
        'body.x: (absent) != {"password": "~redacted~"}',
    ]


@pytest.mark.parametrize(
    ("payload", "shown"),
    [
        (b"password=SECRET&a=2", "b'password=~redacted~&a=2'"),
        (b'{"password":"SECRET","a":2}', '{"password": "~redacted~", "a": 2}'),
        (b"a text with a SECRET", "~redacted~ (20 bytes)"),
        (b"", "b''"),
    ],
)
def test_a_payload_of_another_kind_is_shown_without_what_others_have_redacted(payload: bytes, shown: str) -> None:
    (body,) = differences(("GET", "http://h/", b"a=1"), ("GET", "http://h/", payload), (), ("body:/password",))
    assert body == f"body: b'a=1' != {shown}"


def test_a_value_that_only_another_recording_has_redacted_is_compared_and_not_shown() -> None:
    def found(asked: bytes) -> list[str]:
        return differences(("GET", "", b'{"password":"x"}'), ("GET", "", asked), (), ("body:/user/password",))

    assert found(b'{"password":"x"}') == []
    assert found(b'{"password":"SECRET"}') == ['body.password: "x" != ~redacted~']
    assert found(b"{}") == ['body.password: "x" != (absent)']


@pytest.mark.parametrize("depth", [300, 1_000, 100_000])
def test_a_payload_that_is_nested_deeply_is_told_apart(depth: int) -> None:
    deep = b'{"a":' * depth + b"1" + b"}" * depth
    for pair in ((b'{"b":1}', deep), (deep, b'{"b":1}'), (deep, deep.replace(b"1", b"2"))):
        (shown, *_) = differences(("GET", "", pair[0]), ("GET", "", pair[1]))
        assert shown.startswith("body")


def _form(boundary: bytes, *parts: bytes) -> bytes:
    head = b'Content-Disposition: form-data; name="f"\r\n\r\n'
    return b"".join(b"--%s\r\n%s%s\r\n" % (boundary, head, part) for part in parts) + b"--%s--\r\n" % boundary


def test_a_form_with_files_is_its_parts_whatever_their_boundary() -> None:
    """Clients draw a boundary for each request: RFC 2046 §5.1.1."""
    assert _key(_form(b"7f3a", b"one", b"two")) == _key(_form(b"c0ffee", b"one", b"two"))
    assert _key(_form(b"7f3a", b"one", b"two")) != _key(_form(b"c0ffee", b"one", b"three"))
    assert _key(_form(b"7f3a", b"one", b"two")) != _key(_form(b"c0ffee", b"two", b"one"))
    assert _key(_form(b"7f3a", b"one two")) != _key(_form(b"c0ffee", b"one", b"two"))
    # A boundary is one at the beginning of a line: elsewhere the same letters are content.
    assert _key(_form(b"a", b"x--a")) != _key(_form(b"b", b"x--b"))
    assert _key(_form(b"a", b"x--a")) == _key(_form(b"b", b"x--a"))


@pytest.mark.parametrize(
    "body", [b"--a\r\nno end", b"--a\nb\n--a--", b"--" + b"a" * 71 + b"\r\n\r\n--" + b"a" * 71 + b"--"]
)
def test_what_only_begins_as_such_a_form_is_compared_as_it_is(body: bytes) -> None:
    assert canonical_body(body) == body


def test_forms_with_files_that_differ_in_their_boundary_show_no_difference() -> None:
    one, other = ("POST", "http://h/", _form(b"7f3a", b"one")), ("POST", "http://h/", _form(b"c0ffee", b"one"))
    assert differences(one, other) == []


def test_long_texts_are_shown_where_they_part() -> None:
    prompt = "You are the assistant of a trading desk, and act within its limits. " * 3
    recorded, asked = (f'{{"prompt": "{prompt}{more}"}}'.encode() for more in ("Buy or hold?", "Sell everything?"))
    (told,) = differences(("POST", "http://x/", recorded), ("POST", "http://x/", asked))
    assert told == 'body.prompt: … within its limits. Buy or hold?" != … within its limits. Sell everything?"'
    short = differences(("POST", "http://x/", b'{"a": "same 1"}'), ("POST", "http://x/", b'{"a": "same 2"}'))
    assert short == ['body.a: "same 1" != "same 2"']
