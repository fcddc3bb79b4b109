# SPDX-License-Identifier: Apache-2.0
"""Fingerprints of strings and integers in 64 bits: FarmHash for plain hashing, SipHash for salted one, and the mix that crosses several.

Each formula is written once, on words of 64 bits. A word is a NumPy array of uint64 on the host, and a `Wide`, two tensors of 32 bits, in
steps of a model, where engines need not have more. Start at buckets_of_bytes and buckets_of_integers.

Sources: Pike, Alakuijala and the CityHash authors 2014, FarmHash (Fingerprint64); Aumasson and Bernstein 2012, SipHash: a fast short-input PRF.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nyala import ops
from nyala.core import dtypes
from nyala.engines.protocol import Tensor

K0, K1, K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F
CROSS_MULTIPLIER, CROSS_START = 0xC6A4A7935BD1E995, 0xDECAFCAFFE
LOW = 0xFFFFFFFF

Word = Any  # np.ndarray of uint64, or Wide
Salt = Sequence[int] | None


class Wide:
    """Words of 64 bits as tensors of their upper and lower 32; operands may be Python integers, and all wraps as uint64 does."""

    def __init__(self, high: Tensor, low: Tensor) -> None:
        self.high, self.low = high, low

    @classmethod
    def of(cls, integers: Tensor) -> Wide:
        """Integers of any width, negative ones with their sign carried up."""
        if dtypes.standardize_dtype(integers.dtype) in ("int64", "uint64"):
            return cls(ops.cast(ops.right_shift(integers, 32), "uint32"), ops.cast(integers, "uint32"))
        low = ops.cast(integers, "uint32")
        return cls(ops.where(ops.less(integers, 0), ops.bitwise_not(ops.zeros_like(low)), ops.zeros_like(low)), low)

    def _parts(self, other: Wide | int) -> tuple[Any, Any]:
        return (other.high, other.low) if isinstance(other, Wide) else (np.uint32(other >> 32), np.uint32(other & LOW))

    def __add__(self, other: Wide | int) -> Wide:
        high, low = self._parts(other)
        total = ops.add(self.low, low)
        carry = ops.cast(ops.less(total, self.low), "uint32")
        return Wide(ops.add(ops.add(self.high, high), carry), total)

    def __mul__(self, other: Wide | int) -> Wide:
        high, low = self._parts(other)
        a, b = ops.right_shift(self.low, 16), ops.bitwise_and(self.low, 0xFFFF)
        c, d = ops.right_shift(low, 16), ops.bitwise_and(low, 0xFFFF)
        middle = ops.add(ops.multiply(a, d), ops.right_shift(ops.multiply(b, d), 16))  # below 2**32
        second = ops.add(ops.multiply(b, c), ops.bitwise_and(middle, 0xFFFF))
        carried = ops.add(ops.multiply(a, c), ops.add(ops.right_shift(middle, 16), ops.right_shift(second, 16)))
        crossed = ops.add(ops.multiply(self.high, low), ops.multiply(self.low, high))
        return Wide(ops.add(carried, crossed), ops.multiply(self.low, low))

    def __xor__(self, other: Wide | int) -> Wide:
        high, low = self._parts(other)
        return Wide(ops.bitwise_xor(self.high, high), ops.bitwise_xor(self.low, low))

    def __and__(self, other: int) -> Wide:
        high, low = self._parts(other)
        return Wide(ops.bitwise_and(self.high, high), ops.bitwise_and(self.low, low))

    def __or__(self, other: Wide) -> Wide:
        return Wide(ops.bitwise_or(self.high, other.high), ops.bitwise_or(self.low, other.low))

    def __lshift__(self, count: int) -> Wide:
        if count >= 32:
            high = ops.left_shift(self.low, count - 32) if count > 32 else self.low
            return Wide(high, ops.zeros_like(self.low))
        return Wide(ops.bitwise_or(ops.left_shift(self.high, count), ops.right_shift(self.low, 32 - count)), ops.left_shift(self.low, count))

    def __rshift__(self, count: int) -> Wide:
        if count >= 32:
            low = ops.right_shift(self.high, count - 32) if count > 32 else self.high
            return Wide(ops.zeros_like(low), low)
        return Wide(ops.right_shift(self.high, count), ops.bitwise_or(ops.right_shift(self.low, count), ops.left_shift(self.high, 32 - count)))

    def __mod__(self, divisor: int) -> Tensor:
        """The remainder, int32; by long division, as many bits at a time as leave room for the remainder in 32."""
        step = 32 - (divisor - 1).bit_length()
        remainder, done = ops.zeros_like(self.low), 0
        while done < 64:
            count = min(step, 64 - done)
            bits = (self >> (64 - done - count)).low
            remainder = ops.mod(ops.bitwise_or(ops.left_shift(remainder, count), ops.bitwise_and(bits, (1 << count) - 1)), divisor)
            done += count
        return ops.cast(remainder, "int32")


def _select(condition: Any, yes: Word, no: Word) -> Word:
    if isinstance(yes, Wide):
        return Wide(ops.where(condition, yes.high, no.high), ops.where(condition, yes.low, no.low))
    return np.where(condition, yes, no)


def _rotate(word: Word, right: int) -> Word:
    return (word >> right) | (word << (64 - right))


# Texts: what the hashes read ----------------------------------------------------------------------------------------------------------------


class Texts:
    """Byte strings on the host.

    Attributes:
        length: number of bytes of each, as words.
        longest: bound of the lengths.
    """

    def __init__(self, texts: Sequence[bytes], longest: int) -> None:
        count = len(texts)
        self.sizes = np.fromiter(map(len, texts), np.int64, count)
        self.length, self.longest = self.sizes.astype(np.uint64), longest
        width = longest // 8 * 8 + 16  # zeros behind: every word of the front can be read
        self.bytes = np.array(texts, f"S{width}").view(np.uint8).reshape(count, width)

    def front(self, offset: int) -> np.ndarray:
        """The 8 bytes from an offset, little-endian."""
        return np.ascontiguousarray(self.bytes[:, offset : offset + 8]).view("<u8")[:, 0].astype(np.uint64)

    def tail(self, distance: int) -> np.ndarray:
        """The 8 bytes from so many before the end."""
        places = np.maximum(self.sizes - distance, 0)[:, None] + np.arange(8)
        return np.take_along_axis(self.bytes, places, axis=1).view("<u8")[:, 0].astype(np.uint64)

    def has(self, least: int) -> np.ndarray:
        return self.sizes >= least


class Decimals:
    """Integer tensors as the texts of their decimal digits, a minus sign in front."""

    def __init__(self, integers: Tensor) -> None:
        wide = dtypes.standardize_dtype(integers.dtype) in ("int64", "uint64", "uint32")
        self.longest, kind = (20, "int64") if wide else (11, "uint32")
        whole, negative = ops.cast(integers, kind), ops.less(integers, 0)
        size = ops.where(negative, ops.subtract(0, whole), whole)
        digits = [ops.cast(ops.mod(ops.floor_divide(size, 10**k), 10), "uint32") for k in range(self.longest - 1)]
        count = ops.cast(sum_of([ops.cast(ops.greater_equal(size, 10**k), "int32") for k in range(1, self.longest - 1)], 1), "int32")
        zero = ops.zeros_like(digits[0])
        self.from_end = []  # the bytes, last one first
        for k in range(self.longest):
            sign = ops.where(ops.logical_and(negative, ops.equal(count, k)), ops.full_like(zero, ord("-")), zero)
            self.from_end.append(ops.where(ops.less(k, count), ops.add(digits[k], ord("0")), sign) if k < len(digits) else sign)
        self.sizes = ops.add(count, ops.cast(negative, "int32"))
        self.length = Wide.of(self.sizes)
        reversed_places = ops.subtract(ops.expand_dims(ops.subtract(self.sizes, 1), -1), ops.arange(self.longest, dtype="int32"))
        table = ops.stack(self.from_end, -1)
        taken = ops.take_along_axis(table, ops.maximum(reversed_places, 0), -1)
        shown = ops.where(ops.greater_equal(reversed_places, 0), taken, ops.zeros_like(taken))
        self.from_start = ops.unstack(shown, self.longest, -1)

    def _word(self, eight: list[Tensor]) -> Wide:
        halves = [sum_of([ops.left_shift(byte, 8 * i) for i, byte in enumerate(four)]) for four in (eight[:4], eight[4:])]
        return Wide(halves[1], halves[0])

    def front(self, offset: int) -> Wide:
        zero = ops.zeros_like(self.from_end[0])
        return self._word([self.from_start[i] if i < self.longest else zero for i in range(offset, offset + 8)])

    def tail(self, distance: int) -> Wide:
        zero = ops.zeros_like(self.from_end[0])
        return self._word([self.from_end[k] if 0 <= k < self.longest else zero for k in range(distance - 1, distance - 9, -1)])

    def has(self, least: int) -> Tensor:
        return ops.greater_equal(self.sizes, least)


def sum_of(tensors: list[Tensor], start: int = 0) -> Tensor:
    """The sum of tensors, and of a number."""
    total = ops.add(tensors[0], start)
    for tensor in tensors[1:]:
        total = ops.add(total, tensor)
    return total


# FarmHash -----------------------------------------------------------------------------------------------------------------------------------


def farmhash(texts: Any) -> Word:
    """Fingerprint64 of each text."""
    if texts.longest > 64:
        return _farmhash_of_blocks(texts)
    result = _up_to_16(texts)
    if texts.longest > 16:
        result = _select(texts.has(17), _up_to_32(texts), result)
    if texts.longest > 32:
        result = _select(texts.has(33), _up_to_64(texts), result)
    return result


def _shift_mix(word: Word) -> Word:
    return word ^ (word >> 47)


def _mix(u: Word, v: Word, multiplier: Word) -> Word:
    a = _shift_mix((u ^ v) * multiplier)
    return _shift_mix((v ^ a) * multiplier) * multiplier


def _up_to_16(texts: Any) -> Word:
    length, start = texts.length, texts.front(0)
    multiplier = length * 2 + K2
    # 8 to 16 bytes
    a, b = start + K2, texts.tail(8)
    long = _mix(_rotate(b, 37) * multiplier + a, (_rotate(a, 25) + b) * multiplier, multiplier)
    # 4 to 7
    middling = _mix(((start & LOW) << 3) + length, texts.tail(4) & LOW, multiplier)
    # 1 to 3
    first, second = start & 0xFF, (start >> 8) & 0xFF
    y = (_select(texts.has(2), second, first) << 8) + first
    z = ((texts.tail(1) & 0xFF) << 2) + length
    short = _shift_mix((y * K2) ^ (z * K0)) * K2
    empty = start * 0 + K2
    return _select(texts.has(8), long, _select(texts.has(4), middling, _select(texts.has(1), short, empty)))


def _up_to_32(texts: Any) -> Word:
    multiplier = texts.length * 2 + K2
    a, b, c, d = texts.front(0) * K1, texts.front(8), texts.tail(8) * multiplier, texts.tail(16) * K2
    return _mix(_rotate(a + b, 43) + _rotate(c, 30) + d, a + _rotate(b + K2, 18) + c, multiplier)


def _up_to_64(texts: Any) -> Word:
    multiplier = texts.length * 2 + K2
    a, b, c, d = texts.front(0) * K2, texts.front(8), texts.tail(8) * multiplier, texts.tail(16) * K2
    y = _rotate(a + b, 43) + _rotate(c, 30) + d
    z = _mix(y, a + _rotate(b + K2, 18) + c, multiplier)
    e, f = texts.front(16) * multiplier, texts.front(24)
    g, h = (y + texts.tail(32)) * multiplier, (z + texts.tail(24)) * multiplier
    return _mix(_rotate(e + f, 43) + _rotate(g, 30) + h, e + _rotate(f + a, 18) + g, multiplier)


def _weak(words: list[Word], a: Word, b: Word) -> tuple[Word, Word]:
    w, x, y, z = words
    a = a + w
    b = _rotate(b + a + z, 21)
    c = a
    a = a + x + y
    return a + z, b + _rotate(a, 44) + c


def _farmhash_of_blocks(texts: Texts) -> np.ndarray:
    """For texts above 64 bytes, all with the same number of blocks of 64."""
    zero = texts.length * 0
    x, y = zero + 81, zero + (81 * K1 + 113) % 2**64
    z = _shift_mix(y * K2 + 113) * K2
    v1 = v2 = w1 = w2 = zero
    x = x * K2 + texts.front(0)

    def eight(read: Any, sign: int, base: int) -> list[Word]:
        return [read(base + sign * 8 * i) for i in range(8)]

    def turn(x: Word, y: Word, z: Word, v1: Word, v2: Word, w1: Word, w2: Word, s: list[Word], multiplier: Word, last: bool) -> tuple:
        nine = 9 if last else 1
        x = _rotate(x + y + v1 + s[1], 37) * multiplier
        y = _rotate(y + v2 + s[6], 42) * multiplier
        x = x ^ (w2 * nine)
        y = y + v1 * nine + s[5]
        z = _rotate(z + w1, 33) * multiplier
        v1, v2 = _weak(s[:4], v2 * multiplier, x + w1)
        w1, w2 = _weak(s[4:], z + w2, y + s[2])
        return z, y, x, v1, v2, w1, w2  # x and z change places

    for block in range((texts.longest - 1) // 64):
        x, y, z, v1, v2, w1, w2 = turn(x, y, z, v1, v2, w1, w2, eight(texts.front, 1, 64 * block), K1, False)
    multiplier = ((z & 0xFF) << 1) + K1
    w1 = w1 + ((texts.length - np.uint64(1)) & 63)
    v1 = v1 + w1
    w1 = w1 + v1
    x, y, z, v1, v2, w1, w2 = turn(x, y, z, v1, v2, w1, w2, eight(texts.tail, -1, 64), multiplier, True)
    return _mix(_mix(v1, w1, multiplier) + _shift_mix(y) * K0 + z, _mix(v2, w2, multiplier) + x, multiplier)


# SipHash ------------------------------------------------------------------------------------------------------------------------------------


def siphash(texts: Any, key: Sequence[int]) -> Word:
    """SipHash-2-4 of each text under a key of two integers."""
    k0, k1 = (k % 2**64 for k in key)
    zero = texts.length * 0
    state = tuple(zero + c for c in (k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573))
    for block in range(texts.longest // 8 + 1):
        word = texts.front(8 * block)
        closing = word | (texts.length << 56)
        word = _select(texts.has(8 * (block + 1)), word, closing)
        v0, v1, v2, v3 = state
        v0, v1, v2, v3 = _sip_round(*_sip_round(v0, v1, v2, v3 ^ word))
        changed = (v0 ^ word, v1, v2, v3)
        state = changed if block == 0 else tuple(_select(texts.has(8 * block), new, old) for new, old in zip(changed, state, strict=True))
    v0, v1, v2, v3 = state
    v2 = v2 ^ 0xFF
    for _ in range(4):
        v0, v1, v2, v3 = _sip_round(v0, v1, v2, v3)
    return v0 ^ v1 ^ v2 ^ v3


def _sip_round(v0: Word, v1: Word, v2: Word, v3: Word) -> tuple[Word, Word, Word, Word]:
    v0, v2 = v0 + v1, v2 + v3
    v1, v3 = _rotate(v1, 51) ^ v0, _rotate(v3, 48) ^ v2
    v0, v2 = _rotate(v0, 32) + v3, v2 + v1
    v3, v1 = _rotate(v3, 43) ^ v0, _rotate(v1, 47) ^ v2
    return v0, v1, _rotate(v2, 32), v3


# Buckets ------------------------------------------------------------------------------------------------------------------------------------


def fingerprints_of_bytes(texts: Sequence[bytes], salt: Salt = None) -> np.ndarray:
    """64 bits for each byte string; texts of like lengths are hashed together.

    >>> fingerprints_of_bytes([b"a"]).tolist()
    [12917804110809363939]
    """
    result = np.empty(len(texts), np.uint64)
    sizes = np.fromiter(map(len, texts), np.int64, len(texts))
    kinds = np.digitize(sizes, (17, 33, 65)) + np.where(sizes > 64, (sizes - 1) // 64, 0)  # up to 16, 32, 64, then by number of blocks
    for kind in np.unique(kinds):
        places = np.flatnonzero(kinds == kind)
        group = Texts([texts[i] for i in places.tolist()], int(sizes[places].max()))
        result[places] = farmhash(group) if salt is None else siphash(group, salt)
    return result


def buckets_of_bytes(texts: Sequence[bytes], count: int, salt: Salt = None) -> np.ndarray:
    """A number of [0, count) for each byte string: its fingerprint modulo count, int64."""
    return (fingerprints_of_bytes(texts, salt) % np.uint64(count)).astype(np.int64)


def buckets_of_integers(integers: Tensor, count: int, salt: Salt = None) -> Tensor:
    """A number of [0, count) for each integer of a tensor: the bucket of its decimal digits."""
    texts = Decimals(integers)
    return (farmhash(texts) if salt is None else siphash(texts, salt)) % count


def cross(fingerprints: Sequence[Word]) -> Word:
    """One fingerprint from several; their order counts."""
    total = fingerprints[0] * 0 + CROSS_START
    for fingerprint in fingerprints:
        mixed = (total ^ CROSS_MULTIPLIER) ^ (_shift_mix(fingerprint * CROSS_MULTIPLIER) * CROSS_MULTIPLIER)
        total = _shift_mix(_shift_mix(mixed * CROSS_MULTIPLIER) * CROSS_MULTIPLIER)
    return total
