# SPDX-License-Identifier: Apache-2.0
"""JSON from elsewhere: one error for each way to be unreadable, ambiguous or endless, and never a RecursionError."""

import pytest

from nyala.files.errors import CorruptFileError, ResourceLimitError, UnsafeFileError
from nyala.files.json_text import pointer, read, write


def test_plain_values():
    value = {"a": [1, 2.5, None, True, "té😀"], "b": {"c": {}}, "max_value": float("inf")}
    assert read(write(value), "x") == value
    assert read(b" [1] ", "x") == [1]
    assert pointer(("a", 0, "b/c~")) == "/a/0/b~1c~0"


@pytest.mark.parametrize(
    ("text", "kind", "rule"),
    [
        (b"[" * 200_000, ResourceLimitError, "json-depth"),
        (b'{"a":' * 300 + b"1" + b"}" * 300, ResourceLimitError, "json-depth"),
        (b"[" + b"1," * 2_100_000 + b"1]", ResourceLimitError, "json-values"),
        (b"1" * 5000, ResourceLimitError, "json-digits"),
        (b'{"a": 1, "a": 2}', UnsafeFileError, "json-duplicate"),
        (b'{"x": {"a": [NaN]}}', UnsafeFileError, "json-number"),
        (b'{"x": Infinity}', UnsafeFileError, "json-number"),
        (b'{"x": 1e999}', UnsafeFileError, "json-number"),
        (b'{"x": "\\ud800"}', CorruptFileError, "json-text"),
        (b'{"\\udc00": 1}', CorruptFileError, "json-text"),
        (b"\xef\xbb\xbf{}", CorruptFileError, "json-text"),
        (b"\xff\xfe{", CorruptFileError, "json-text"),
        (b"", CorruptFileError, "json-text"),
        (b"{'a': 1}", CorruptFileError, "json-text"),
        (b"[1,]", CorruptFileError, "json-text"),
    ],
)
def test_refusals(text, kind, rule):
    with pytest.raises(kind) as info:
        read(text, "the config")
    assert info.value.rule == rule
    assert str(info.value).startswith("the config needs ")


def test_size():
    with pytest.raises(ResourceLimitError, match="JSON of at most 10 bytes, got 12"):
        read('"' + "x" * 10 + '"', "x", max_bytes=10)


def test_quotes_hide_brackets():
    assert read('{"a": "[[[[\\"]]]"}', "x") == {"a": '[[[["]]]'}
