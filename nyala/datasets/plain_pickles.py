# SPDX-License-Identifier: Apache-2.0
"""Arrays and lists out of the pickles of old data sets, read as data: no name in them is looked up, nothing in them is called.

A pickle is a program for a small stack machine. This reads the few instructions with which NumPy arrays, lists of integers, strings and dicts were
written, and refuses every other one. The four names of NumPy that such files hold are marks here, which stand for what they make. Start at read.
"""

from __future__ import annotations

import math
import re
import struct
from typing import Any

import numpy as np

from nyala.files.errors import CorruptFileError, UnsafeFileError

MAKE_ARRAY, ARRAY, DTYPE, MARK = object(), object(), object(), object()
NAMES = {
    ("numpy.core.multiarray", "_reconstruct"): MAKE_ARRAY,
    ("numpy._core.multiarray", "_reconstruct"): MAKE_ARRAY,
    ("numpy", "ndarray"): ARRAY,
    ("numpy", "dtype"): DTYPE,
}
FIXED = {b"N": None, b"\x88": True, b"\x89": False}
INTEGERS = {b"K": "<B", b"M": "<H", b"J": "<i"}
LENGTHS = {b"U": ("<B", bytes), b"T": ("<i", bytes), b"C": ("<B", bytes), b"B": ("<I", bytes), b"\x8c": ("<B", str), b"X": ("<I", str)}
PUTS, GETS = {b"q": "<B", b"r": "<I"}, {b"h": "<B", b"j": "<I"}
TUPLES = {b"\x85": 1, b"\x86": 2, b"\x87": 3}
CODES = re.compile(r"(b1|[iu][1248]|f[248]|O8?|O4)\Z")


class _Unfinished:
    """An array or a dtype, from the instruction that makes it to the one that says what is in it."""

    def __init__(self, code: str | None = None) -> None:
        self.code = code  # of a dtype
        self.value: Any = None


def read(content: bytes, where: str) -> Any:
    """What a pickle of plain data holds: a NumPy array, or a dict of arrays, lists, strings and numbers.

    Args:
        content: the file; protocols 2 to 4. Strings of Python 2 become bytes.
        where: what to call it in errors.
    Returns: arrays are read-only; those of objects have lists of integers as items.
    Raises: UnsafeFileError at the first instruction or name that plain data do not need; CorruptFileError if it is cut off or makes no sense.
    """
    try:
        value = _Machine(content, where).run()
        return {key: _finished(item) for key, item in value.items()} if type(value) is dict else _finished(value)
    except (IndexError, KeyError, ValueError, TypeError, AttributeError, struct.error, UnicodeDecodeError) as error:
        if isinstance(error, (UnsafeFileError, CorruptFileError)):
            raise
        raise CorruptFileError(
            where,
            need="a whole pickle of plain data",
            got=f"one that makes no sense ({str(error)[:100]})",
            fix="get the file again",
            rule="pickle-data",
        ) from error


def _finished(value: Any) -> Any:
    if isinstance(value, _Unfinished):
        value = value.value
        if not isinstance(value, np.ndarray):
            raise ValueError("an array that is never filled")
    return value


class _Machine:
    """The stack machine: a stack, what is kept by number, and the place in the program."""

    def __init__(self, content: bytes, where: str) -> None:
        self.content, self.where, self.place = content, where, 0
        self.stack: list[Any] = []
        self.kept: dict[int, Any] = {}

    def run(self) -> Any:
        while (code := self.take(1)) != b".":
            if code in INTEGERS:
                self.place -= 1
                self.integers()
            elif code in LENGTHS:
                form, kind = LENGTHS[code]
                text = self.take(self.number(form))
                self.stack.append(text if kind is bytes else text.decode("utf-8"))
            elif code in PUTS:
                self.kept[self.number(PUTS[code])] = self.stack[-1]
            elif code in GETS:
                self.stack.append(self.kept[self.number(GETS[code])])
            elif code in FIXED:
                self.stack.append(FIXED[code])
            elif code in TUPLES:
                self.stack.append(tuple(self.pop() for _ in range(TUPLES[code]))[::-1])
            elif (step := STEPS.get(code)) is not None:
                step(self)
            else:
                self.refuse(f"the instruction {code!r}")
        if len(self.stack) != 1 or self.place != len(self.content):
            raise ValueError(f"{len(self.stack)} values, {len(self.content) - self.place} bytes left")
        return self.stack[0]

    def refuse(self, what: str) -> None:
        raise UnsafeFileError(
            self.where, need="plain arrays and lists", got=f"{what} at byte {self.place:,}",
            why="a pickle can run any code; only what data need is read here", fix="remove the file and load again", rule="pickle-instruction",
        )  # fmt: skip

    def take(self, count: int) -> bytes:
        if count < 0 or self.place + count > len(self.content):
            raise ValueError("it ends early")
        self.place += count
        return self.content[self.place - count : self.place]

    def number(self, form: str) -> int:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def pop(self) -> Any:
        value = self.stack.pop()
        if value is MARK:
            raise ValueError("a mark where a value should be")
        return value

    def since_mark(self) -> list[Any]:
        """What was put on the stack since the last mark; takes it off."""
        start = len(self.stack) - 1
        while self.stack[start] is not MARK:
            start -= 1
            if start < 0:
                raise ValueError("no mark")
        items = self.stack[start + 1 :]
        del self.stack[start:]
        return items

    def integers(self) -> None:
        """A run of integers, at once: nearly all of a file of texts is such runs."""
        content, place, push = self.content, self.place, self.stack.append
        end = len(content) - 5
        while place < end:
            code = content[place]
            if code == 75:  # K: one byte
                push(content[place + 1])
                place += 2
            elif code == 77:  # M: two
                push(content[place + 1] | content[place + 2] << 8)
                place += 3
            elif code == 74:  # J: four, with sign
                push(int.from_bytes(content[place + 1 : place + 5], "little", signed=True))
                place += 5
            else:
                break
        self.place = place
        if place >= end and (form := INTEGERS.get(content[place : place + 1])):
            self.place += 1
            push(self.number(form))

    def protocol(self) -> None:
        version = self.take(1)[0]
        if self.place != 2 or not 2 <= version <= 4:
            self.refuse(f"protocol {version}")

    def line(self) -> str:
        end = self.content.index(b"\n", self.place, self.place + 100)
        return self.take(end + 1 - self.place)[:-1].decode("ascii")

    def long(self) -> None:
        size = self.take(1)[0]
        if size > 8:
            self.refuse(f"an integer of {size} bytes")
        self.stack.append(int.from_bytes(self.take(size), "little", signed=True))

    def name(self, module: Any, name: Any) -> None:
        mark = NAMES.get((module, name)) if isinstance(module, str) and isinstance(name, str) else None
        if mark is None:
            self.refuse(f"the name {f'{module}.{name}'[:100]!r}")
        self.stack.append(mark)

    def stacked_name(self) -> None:
        name, module = self.pop(), self.pop()
        self.name(module, name)

    def append(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise ValueError("items for what is no list")
        target.extend(items)

    def set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not dict or len(items) % 2:
            raise ValueError("items for what is no dict")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if type(key) not in (str, bytes):
                raise ValueError("a key that is no string")
            target[key.decode("latin-1") if type(key) is bytes else key] = value

    def make(self) -> None:
        """The two calls that data need: an empty array, a dtype."""
        arguments, function = self.pop(), self.pop()
        if function is MAKE_ARRAY and type(arguments) is tuple and arguments[0] is ARRAY:
            self.stack.append(_Unfinished())
        elif function is DTYPE and type(arguments) is tuple and CODES.match(code := _text(arguments[0])):
            self.stack.append(_Unfinished(code))
        else:
            self.refuse("a call")

    def fill(self) -> None:
        """What is in the array or dtype on the stack."""
        state, target = self.pop(), self.stack[-1]
        if not isinstance(target, _Unfinished) or target.value is not None or type(state) is not tuple:
            self.refuse("a state")
        elif target.code is not None:
            order = _text(state[1])
            if order not in ("<", ">", "|", "="):
                raise ValueError(f"a byte order {order!r}")
            target.value = np.dtype("O" if target.code[0] == "O" else target.code).newbyteorder(order)
        else:
            target.value = self.array(*state)

    def array(self, version: int, shape: tuple[int, ...], dtype: _Unfinished, fortran: bool, values: Any) -> np.ndarray:
        kind = dtype.value
        if version != 1 or type(shape) is not tuple or not all(type(n) is int and n >= 0 for n in shape):
            raise ValueError("an array without a shape")
        if kind != np.dtype("O"):
            if type(values) is not bytes or math.prod(shape) * kind.itemsize != len(values):
                raise ValueError(f"{len(values):,} bytes for shape {shape}")
            return np.frombuffer(values, kind).reshape(shape, order="F" if fortran else "C")
        if type(values) is not list or shape != (len(values),):
            raise ValueError(f"{len(values):,} items for shape {shape}")
        if any(type(row) is not list for row in values):
            self.refuse("an array with items that are no lists")
        if 2 * sum(map(len, values)) > len(self.content):  # an integer takes two bytes
            self.refuse("an array that grows beyond its file")
        if any(set(map(type, row)) - {int} for row in values):
            self.refuse("a list of an array with items that are no integers")
        array = objects(values)
        array.flags.writeable = False
        return array


def objects(rows: list[list[int]]) -> np.ndarray:
    """Lists as an array of objects (n,)."""
    array = np.empty(len(rows), object)
    for i, row in enumerate(rows):  # array[:] = rows would make a matrix of rows of one length
        array[i] = row
    return array


def _text(value: Any) -> str:
    """A string as text; nothing else has any."""
    return value.decode("ascii") if type(value) is bytes else value if type(value) is str else ""


STEPS = {
    b"\x80": _Machine.protocol,
    b"\x95": lambda machine: machine.take(8),  # the length of what follows
    b"\x94": lambda machine: machine.kept.__setitem__(len(machine.kept), machine.stack[-1]),
    b"(": lambda machine: machine.stack.append(MARK),
    b"]": lambda machine: machine.stack.append([]),
    b"}": lambda machine: machine.stack.append({}),
    b")": lambda machine: machine.stack.append(()),
    b"t": lambda machine: machine.stack.append(tuple(machine.since_mark())),
    b"a": lambda machine: machine.append([machine.pop()]),
    b"e": lambda machine: machine.append(machine.since_mark()),
    b"s": lambda machine: machine.set_items([machine.pop(), machine.pop()][::-1]),
    b"u": lambda machine: machine.set_items(machine.since_mark()),
    b"\x8a": _Machine.long,
    b"c": lambda machine: machine.name(machine.line(), machine.line()),
    b"\x93": _Machine.stacked_name,
    b"R": _Machine.make,
    b"b": _Machine.fill,
}
