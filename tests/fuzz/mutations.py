"""Seeded damage to the bytes of a file: the same number gives the same file."""

import random
import re
import struct
from collections.abc import Callable, Sequence

Words = Sequence[bytes]

EXTREMES = (0, 1, -1, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**62, -(2**31))
FLOATS = (0.0, -0.0, float("nan"), float("inf"), float("-inf"), 1e-300, 1e300, -1.0, 1e10)
NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")
TEXT_NUMBERS = (
    b"0", b"-1", b"1e308", b"nan", b"inf", b"-inf", b"99999999999999999999", b"0.5", b"1e-320", b"", b"2020-02-30",
    b"9" * 400, b"0x10", b"1,5", b"1_000", b"true", b"null", b"[1]", b"{}", b"'",
)  # fmt: skip


def damaged(content: bytes, rng: random.Random, words: Words = ()) -> bytes:
    """Content with one to four faults; words are pieces of the format that may be put in."""
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4))):
        content = rng.choice(WAYS)(content, rng, words)
    return content


def _flip(content: bytes, rng: random.Random, words: Words) -> bytes:
    if not content:
        return content
    whole = bytearray(content)
    whole[_place(content, rng)] ^= 1 << rng.randrange(8)
    return bytes(whole)


def _set(content: bytes, rng: random.Random, words: Words) -> bytes:
    if not content:
        return content
    whole = bytearray(content)
    whole[_place(content, rng)] = rng.choice((0, 1, 0x20, 0x7F, 0x80, 0xFE, 0xFF))
    return bytes(whole)


def _number(content: bytes, rng: random.Random, words: Words) -> bytes:
    """A binary number of any width and order, of an extreme value."""
    order, code = rng.choice("<>"), rng.choice("bhiqefd")
    value = rng.choice(FLOATS if code in "efd" else EXTREMES)
    if code in "bhiq":
        bits = 8 * struct.calcsize(code)
        value = (int(value) + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)
    elif code in "ef" and 6e4 < abs(value) < float("inf"):  # does not fit
        value = 6e4
    packed = struct.pack(order + code, value)
    at = _place(content, rng) // rng.choice((1, 2, 4)) * 4 % max(1, len(content))
    return content[:at] + packed + content[at + len(packed) :]


def _text_number(content: bytes, rng: random.Random, words: Words) -> bytes:
    found = list(NUMBER.finditer(content[:20_000]))
    if not found:
        return _word(content, rng, words)
    chosen = rng.choice(found)
    return content[: chosen.start()] + rng.choice(TEXT_NUMBERS) + content[chosen.end() :]


def _word(content: bytes, rng: random.Random, words: Words) -> bytes:
    at = _place(content, rng)
    return content[:at] + (rng.choice(list(words)) if words else b"\x00") + content[at:]


def _cut(content: bytes, rng: random.Random, words: Words) -> bytes:
    return content[: _place(content, rng)]


def _remove(content: bytes, rng: random.Random, words: Words) -> bytes:
    at = _place(content, rng)
    return content[:at] + content[at + rng.choice((1, 1, 2, 4, 16, 100)) :]


def _repeat(content: bytes, rng: random.Random, words: Words) -> bytes:
    at, length = _place(content, rng), rng.choice((1, 4, 30, 200))
    return content[:at] + content[at : at + length] * rng.choice((2, 3, 50)) + content[at:]


def _move(content: bytes, rng: random.Random, words: Words) -> bytes:
    one, other, length = _place(content, rng), _place(content, rng), rng.choice((1, 4, 30))
    return content[:one] + content[other : other + length] + content[one + length :]


def _line(content: bytes, rng: random.Random, words: Words) -> bytes:
    """A line twice, missing, or in another place."""
    lines = content.split(b"\n")
    chosen = rng.randrange(len(lines))
    line = lines.pop(chosen)
    for _ in range(rng.choice((0, 1, 2))):
        lines.insert(rng.randrange(len(lines) + 1), line)
    return b"\n".join(lines)


def _place(content: bytes, rng: random.Random) -> int:
    """A byte; half of the time one of the header."""
    return rng.randrange(max(1, min(len(content), 600) if rng.random() < 0.5 else len(content)))


WAYS: tuple[Callable[[bytes, random.Random, Words], bytes], ...] = (
    _flip, _flip, _set, _number, _number, _text_number, _text_number, _word, _cut, _remove, _repeat, _move, _line,
)  # fmt: skip
