"""Written JSON with holes: each is found where it is a value, and filled by its number."""

import pytest

from gateway.translate.template import MARK, Form, hole, stand_in, template_of

USER = b'"\\u001a900\\u001a"'
NOTE = b'"\\u001a901\\u001a"'
OBJECT = b'{"\\u001a902\\u001a":""}'


@pytest.mark.parametrize(
    ("written", "holes", "format_", "order", "plain"),
    [
        (b'{"a":7}', [], b'{"a":7}', [], True),
        (b'{"a":"100%"}', [], b'{"a":"100%%"}', [], True),
        (b'{"a":%b}' % USER, [USER], b'{"a":%b}', [0], True),
        (b'{"a":%b,"b":"%%"}' % USER, [USER], b'{"a":%b,"b":"%%"}', [0], True),
        (b'{"a":"x"}', [USER], b'{"a":"x"}', [], False),
        (b'{"a":%b,"b":%b}' % (NOTE, USER), [USER, NOTE], b'{"a":%b,"b":%b}', [1, 0], False),
        (b'{"a":%b,"b":%b}' % (USER, NOTE), [USER, NOTE], b'{"a":%b,"b":%b}', [0, 1], True),
        (b"[%b,%b]" % (USER, USER), [USER], b"[%b,%b]", [0, 0], False),
        (b"[%b]" % USER, [USER, NOTE], b"[%b]", [0], False),
        (b"[%b]" % USER, [USER, USER], b"[%b]", [0], False),
        (b'{"a":%b}' % OBJECT, [OBJECT], b'{"a":%b}', [0], True),
        (b"[%b]" % OBJECT, [OBJECT], b"[%b]", [0], True),
        (b'{"a":7}', [b"7"], b'{"a":%b}', [0], True),
        (b'{"a":7,"b":"x"}', [b"7"], b'{"a":%b,"b":"x"}', [0], True),
        (b'{"a":70,"b":17,"c":"7","d":[7],"e":7.5}', [b"7"], None, [], False),
        (b'{"a":0x5,"b":0.5}', [b"0.5"], b'{"a":0x5,"b":%b}', [0], True),
        (b'{"a":7,"b":%b}' % USER, [USER, b"7"], b'{"a":%b,"b":%b}', [1, 0], False),
    ],
)
def test_holes_are_found(
    written: bytes, holes: list[bytes], format_: bytes | None, order: list[int], *, plain: bool
) -> None:
    """A number is a hole where it is a whole member; of two that are written alike the first."""
    form = Form(written, holes)
    assert form.format == (written if format_ is None else format_)
    assert (form.order, form.plain) == (order, plain)
    values = tuple(b"<%d>" % number for number in range(len(holes)))
    filled = form.format % tuple(values[number] for number in order)
    assert form.fill(values) == filled
    assert form.fill(tuple(holes)) == written


def test_a_stand_in_has_its_mark_however_often_it_is_written() -> None:
    """So what is left of one is found."""
    assert stand_in(12) == "\x1a12\x1a"
    assert USER.count(MARK) == 2
    assert MARK == b"u001a"


def test_a_hole_is_named_by_what_stands_in_it() -> None:
    """To be filled with written JSON."""
    assert hole(900) == (USER, b"%b")


def test_a_template_is_filled_in_the_order_of_its_holes() -> None:
    """Percent signs around them stay, whatever the conversion."""
    holes = [(b"NAME", b"%b"), (b"1152921504606846976", b"%d")]
    written = b'{"50%":NAME,"n":1152921504606846976,"of":"100%"}'
    template = template_of(written, holes)
    assert template == b'{"50%%":%b,"n":%d,"of":"100%%"}'
    assert template % (b'"x"', 5) == b'{"50%":"x","n":5,"of":"100%"}'
    assert template_of(b"%", []) == b"%%"
    assert template_of(b"NAME" + written, holes) is None
    assert template_of(written + b"NAME", holes) is None
    assert template_of(written.replace(b"NAME", b"name"), holes) is None
