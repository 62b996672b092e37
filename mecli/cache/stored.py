"""What a clip looks like inside the file: names, types, texts, the digest of all that is stored."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import h5py

from mecli import files
from mecli.records import ARRAYS, ClipRecord

if TYPE_CHECKING:
    from collections.abc import Iterable

SCHEMA = 2
# Of this version on, everything but the data itself has a checksum inside HDF5.
VERSION = "v110"
# What each array is in the file: flow is stored as whole counts of `scale_px`.
SCALED = ("flow", "apex_flow")
STORED = {
    f.name: (f.metadata["ndim"], "int16" if f.name in SCALED else f.metadata["dtype"])
    for f in fields(ClipRecord)
    if f.name in ARRAYS
}


def write_text(owner: Any, name: str, text: str) -> None:
    """Give `owner` an attribute of as many bytes as `text` has."""
    # One flipped bit among texts of variable length can make HDF5 loop for ever.
    data = files.encoded(text)
    owner.attrs.create(name, data, dtype=h5py.string_dtype("utf-8", max(1, len(data))))


def digest(group: Any, names: Iterable[str], texts: Iterable[str]) -> str:
    """Return the sha256 of all that is stored of one clip: options, key, meta, arrays `names`."""
    total = hashlib.sha256(files.encoded("\n".join(texts)))
    for name in sorted(names):
        data = group[name]
        scale = number(data, "scale_px") if name in SCALED else 1.0
        total.update(f"\n{name} {data.shape} {scale!r}\n".encode())
        total.update(data[()].tobytes())
    return total.hexdigest()


def number(owner: Any, name: str) -> Any:
    """Return a lone number among the attributes of `owner`, None if there is none."""
    if name not in owner.attrs:
        return None
    attribute = owner.attrs.get_id(name)
    kinds = (h5py.h5t.TypeIntegerID, h5py.h5t.TypeFloatID)
    lone = isinstance(attribute.get_type(), kinds) and attribute.shape == ()
    return owner.attrs[name] if lone else None


def dump(value: Any) -> str:
    """Return `value` as JSON, the same text for equal values; NaN is refused."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)
