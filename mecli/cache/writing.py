"""A clip as the bytes of a whole cache, built in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from mecli.cache.stored import SCALED, SCHEMA, STORED, VERSION, digest, dump, write_text
from mecli.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from mecli.records import ClipRecord

# Below it nothing moves, and a count's scale would round to a float32 of zero.
_LEAST_PX = 1e-30


def clip_image(record: ClipRecord, key: str, options: Mapping[str, Any]) -> bytes:
    """Return a whole cache file of one clip, built in memory, byte for byte reproducible."""
    with h5py.File.in_memory(libver=VERSION) as file:
        _write_root(file, options)
        group = file.create_group(f"clips/{record.clip_id}")
        meta, names = dump(record.meta()), STORED if record.ok else ()
        write_text(group, "key", key)
        write_text(group, "meta", meta)
        for name in names:
            _write_array(group, name, getattr(record, name))
        write_text(group, "sha256", digest(group, names, (dump(options), key, meta)))
        return _image(file)


def root_image(options: Mapping[str, Any]) -> bytes:
    """Return a whole cache file without any clip."""
    with h5py.File.in_memory(libver=VERSION) as file:
        _write_root(file, options)
        return _image(file)


def _image(file: Any) -> bytes:
    file.flush()
    return bytes(file.id.get_file_image())


def _write_root(file: Any, options: Mapping[str, Any]) -> None:
    file.attrs["schema"] = SCHEMA
    write_text(file, "options", dump(options))
    file.require_group("clips")


def _write_array(group: Any, name: str, values: NDArray[Any]) -> None:
    dtype = STORED[name][1]
    scale = 1.0
    if name in SCALED:
        peak = float(np.abs(values).max(initial=0.0))
        if not np.isfinite(peak):
            raise InputError(f"{name} holds NaN or infinite numbers")
        scale = peak / 32767 if peak > _LEAST_PX else 1.0
        values = np.rint(values / scale)
    values = np.ascontiguousarray(values, dtype=dtype)
    checked = {"chunks": values.shape, "fletcher32": True} if values.size else {}
    data = group.create_dataset(name, data=values, **checked)
    if name in SCALED:
        data.attrs["scale_px"] = scale
