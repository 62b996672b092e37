"""Damage to bytes: bits that flip, pieces that move, numbers at their limits, words of a format."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

_LIMITS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 63)
_WORDS = (
    "", "0", "-1", "1e999", "nan", "NaN", "-inf", "9" * 400, "1.5", "null", "true", "[]", "{}",
    "=1+1", "../../x", "/etc/passwd", "\x00", "\ufeff", "é" * 300, '"', ",", "\n", "\r", ";",
    "[" * 5000, '{"a":' * 2000, "-0.0", "0x10", "１２", "\u202e", "1_0", "path", "clip",
)  # fmt: skip


def mutate(data: bytes, rng: Random, others: Sequence[bytes] = ()) -> bytes:
    """Return `data` with one to eight pieces of damage; `others` lend theirs."""
    damaged = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 8))):
        _damage(damaged, rng, others)
    return bytes(damaged)


def _damage(data: bytearray, rng: Random, others: Sequence[bytes]) -> None:
    place = rng.randrange(len(data) + 1)
    length = min(rng.choice((1, 2, 4, 16, 256, 4096)), len(data) - place)
    kind = rng.randrange(9)
    if kind == 0 and place < len(data):
        data[place] ^= 1 << rng.randrange(8)
    elif kind == 1:
        data[place : place + length] = rng.randbytes(length)
    elif kind == 2:
        number = rng.choice(_LIMITS).to_bytes(8, rng.choice(("little", "big")))
        size = rng.choice((1, 2, 4, 8))
        data[place : place + size] = number[:size]
    elif kind == 3:
        del data[place : place + length]
    elif kind == 4:
        data[place:place] = data[place : place + length]
    elif kind == 5:
        del data[place:]
    elif kind == 6:
        data[place:place] = rng.choice(_WORDS).encode()
    elif kind == 7 and others:
        other = rng.choice(others)
        start = rng.randrange(len(other) + 1)
        data[place : place + length] = other[start : start + max(length, 16)]
    else:
        data[place : place + length] = bytes([rng.randrange(256)]) * length


def mutate_text(data: bytes, rng: Random, others: Sequence[bytes] = ()) -> bytes:
    """Return `data` with whole cells or lines replaced, or damaged as `mutate` does."""
    if rng.random() < 0.4:
        return mutate(data, rng, others)
    lines = data.decode(errors="surrogateescape").split("\n")
    for _ in range(rng.choice((1, 1, 2, 4))):
        place = rng.randrange(len(lines))
        cells = lines[place].split(",")
        cells[rng.randrange(len(cells))] = rng.choice(_WORDS)
        lines[place] = ",".join(cells)
        if rng.random() < 0.2:
            lines.insert(place, lines[rng.randrange(len(lines))])
    return "\n".join(lines).encode(errors="surrogateescape")


def mutate_json(data: bytes, rng: Random, others: Sequence[bytes] = ()) -> bytes:
    """Return a JSON document with values and names replaced, or damaged as `mutate` does."""
    if rng.random() < 0.25:
        return mutate(data, rng, others)
    document = json.loads(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        _damage_json(document, rng)
    return json.dumps(document).encode()


def _damage_json(value: object, rng: Random) -> None:
    """Walk down at random and put something else into a place of a list or an object."""
    while True:
        places = list(value) if isinstance(value, dict) else []
        if isinstance(value, list):
            places = list(range(len(value)))
        if not places:
            return
        place = rng.choice(places)
        if isinstance(value[place], (dict, list)) and value[place] and rng.random() < 0.7:  # type: ignore[index]
            value = value[place]  # type: ignore[index]
            continue
        strange: tuple[object, ...] = (
            None, True, -1, 0, 1 << 70, 0.5, float("nan"), float("inf"), "", "x", "../x", "a\nb",
            [], {}, [[]], ["x"], {"x": 1}, "9" * 400, [None] * 3, -(1 << 63),
        )  # fmt: skip
        if isinstance(value, dict) and rng.random() < 0.25:
            del value[place]
        elif isinstance(value, dict) and rng.random() < 0.2:
            value[str(rng.choice(strange))[:50]] = value.pop(place)
        else:
            value[place] = rng.choice(strange)  # type: ignore[index]
        return


def mutate_safetensors(data: bytes, rng: Random, others: Sequence[bytes] = ()) -> bytes:
    """Return a safetensors file with a damaged header of the right length, or any damage."""
    if rng.random() < 0.3:
        return mutate(data, rng, others)
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    if rng.random() < 0.6 and "__metadata__" in header:
        about = header["__metadata__"]
        about["mecli"] = mutate_json(about["mecli"].encode(), rng).decode(errors="replace")
    else:
        _damage_json(header, rng)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


def mutate_zip(data: bytes, rng: Random, others: Sequence[bytes] = ()) -> bytes:
    """Return a zip archive with a damaged member, packed anew, or any damage."""
    if rng.random() < 0.3 or not zipfile.is_zipfile(io.BytesIO(data)):
        return mutate(data, rng, others)
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(packed, "w") as new:
        names = old.namelist()
        hit = rng.choice(names)
        for name in names:
            member = old.read(name)
            new.writestr(name, mutate(member, rng) if name == hit else member)
    return packed.getvalue()
