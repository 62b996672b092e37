"""A cache read in this process; nothing inside is believed."""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from mecli import files
from mecli.cache.stored import SCALED, SCHEMA, STORED, digest, dump, number, write_text
from mecli.clips import check_part
from mecli.errors import InputError, MissingDependency
from mecli.kinds import fits
from mecli.records import ARRAYS, META, ClipRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

_MAX_TEXT = 1 << 20
_MAX_ARRAY_BYTES = 1 << 28
_MAX_TOLD = 200
_KINDS = {f.name: str(f.type) for f in fields(ClipRecord) if f.name in META}


@contextlib.contextmanager
def _telling_damage(path: Path) -> Iterator[None]:
    """Turn what h5py raises on a damaged file into `InputError`; measured by flipping bits."""
    try:
        yield
    except InputError:
        raise
    except (AttributeError, KeyError, OSError, RuntimeError, ValueError) as error:
        reason = str(error).strip("'\"")
        raise InputError(
            f"{path}: damaged inside ({reason}); copy it anew or extract again"
        ) from error


class Reader:
    """A cache opened in this process; a context manager. Raises `InputError` on anything odd."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            raise MissingDependency(f"{path}: no such cache; run `mecli extract SOURCE` first")
        if not path.is_file():
            raise InputError(f"{path}: is not a file, expected a cache")
        try:
            self._file = h5py.File(path, "r", locking=False)
        except PermissionError as error:
            raise InputError(f"{path}: cannot be read; have it opened to you") from error
        except OSError as error:
            raise InputError(
                f"{path}: not a readable HDF5 file; make it anew with `mecli extract`"
            ) from error
        try:
            with _telling_damage(path):
                self._check_root()
                self._places = dict(self._walk())
                self.clip_ids = tuple(sorted(self._places))
                """All clip ids, failed ones included, sorted."""
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def key(self, clip_id: str) -> str:
        """Return the digest under which `clip_id` was extracted."""
        with _telling_damage(self.path):
            return self._text(self._group(clip_id), "key")

    def fingerprint(self) -> str:
        """Return a digest of everything in the cache that training can see."""
        total = hashlib.sha256(files.encoded(dump(self.options)))
        for clip_id in self.clip_ids:
            total.update(f"\n{clip_id}={self.key(clip_id)}".encode())
        return total.hexdigest()[:32]

    def summary(self, clip_id: str) -> ClipRecord:
        """Return the record of `clip_id` without its arrays."""
        with _telling_damage(self.path):
            text = self._text(self._group(clip_id), "meta")
        try:
            meta = json.loads(text)
            unknown = set(meta) ^ set(META)
            if unknown:
                raise InputError(f"fields {sorted(unknown)} are missing or unknown")
            odd = [name for name, kind in _KINDS.items() if not fits(meta[name], kind)]
            if odd:
                raise InputError(f"{odd[0]} is {meta[odd[0]]!r}"[:_MAX_TOLD])
            meta["issues"] = tuple(meta["issues"])
            record = ClipRecord(**meta)
            if record.fps is not None and record.fps <= 0:
                raise InputError(f"fps is {record.fps}")
        except (ValueError, TypeError, RecursionError) as error:
            raise InputError(f"{self.path}: clip {clip_id}: broken meta data: {error}") from error
        for name in (record.clip_id, f"{record.corpus}/{record.subject}/{record.name}"):
            if name != clip_id:
                raise InputError(f"{self.path}: clip {clip_id} calls itself {name}")
        return record

    def record(self, clip_id: str, names: Iterable[str] = ARRAYS) -> ClipRecord:
        """Return the record of `clip_id` with its arrays `names`; flow is in float32 pixels."""
        record = self.summary(clip_id)
        if not record.ok:
            return record
        with _telling_damage(self.path):
            group = self._group(clip_id)
            arrays: dict[str, Any] = {n: self._array(group, n, clip_id) for n in names}
        return replace(record, **arrays)

    def copy_into(self, file: Any, clip_id: str) -> None:
        """Copy `clip_id` into the open HDF5 `file`, checked array by array."""
        with _telling_damage(self.path):
            source = self._group(clip_id)
            target = file.create_group(f"clips/{clip_id}")
            for name in ("key", "meta", "sha256"):
                if name in source.attrs:
                    write_text(target, name, self._text(source, name))
            for name in sorted(STORED) if self.summary(clip_id).ok else ():
                self._dataset(source, name, clip_id)
                source.copy(name, target)

    def check(self, clip_id: str) -> ClipRecord:
        """Return the whole record of `clip_id`; `InputError` if one bit of it has changed."""
        record = self.record(clip_id)
        with _telling_damage(self.path):
            group = self._group(clip_id)
            texts = (dump(self.options), self._text(group, "key"), self._text(group, "meta"))
            if self._text(group, "sha256") != digest(group, STORED if record.ok else (), texts):
                raise InputError(
                    f"{self.path}: clip {clip_id}: has changed since it was written (its sha256 "
                    "differs); extract it anew"
                )
        return record

    def _check_root(self) -> None:
        schema = number(self._file, "schema")
        if schema is None:
            raise InputError(f"{self.path}: not a mecli cache (no schema version inside)")
        if int(schema) != SCHEMA:
            raise InputError(
                f"{self.path}: cache of schema version {int(schema)}, expected {SCHEMA}; "
                "make it anew with `mecli extract`"
            )
        try:
            self.options: dict[str, Any] = dict(json.loads(self._text(self._file, "options")))
        except (ValueError, TypeError, RecursionError) as error:
            raise InputError(f"{self.path}: broken extraction options: {error}") from error

    def _walk(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        seen = {h5py.h5o.get_info(self._file.id).addr}
        clips = self._once(self._file, "clips", seen)
        for corpus in clips:
            subjects = self._once(clips, corpus, seen)
            for subject in subjects:
                for name in self._once(subjects, subject, seen):
                    yield f"{corpus}/{subject}/{name}", (corpus, subject, name)

    def _once(self, group: Any, name: str, seen: set[int]) -> Any:
        """Open a child group that has one place only: a few kilobytes could span billions."""
        child = self._child(group, name)
        address = h5py.h5o.get_info(child.id).addr
        if address in seen:
            raise InputError(f"{self.path}: '{name}' is inside twice, which a cache never is")
        seen.add(address)
        for part in child:
            check_part(part, f"{self.path}: part")  # of a path, as soon as it is exported
        return child

    def _child(self, group: Any, name: str) -> Any:
        """Open a child group, refusing every link that could lead elsewhere."""
        if not group.id.links.exists(name.encode()):
            raise InputError(f"{self.path}: no '{name}' inside, expected a group; not a cache")
        child = _own(group, name, f"{self.path}: '{name}'")
        if not isinstance(child, h5py.Group):
            raise InputError(f"{self.path}: '{name}' is no group; not a cache")
        return child

    def _group(self, clip_id: str) -> Any:
        if clip_id not in self._places:
            raise InputError(f"{self.path}: no clip {clip_id} inside")
        group = self._child(self._file, "clips")
        for part in self._places[clip_id]:
            group = self._child(group, part)
        return group

    def _text(self, owner: Any, name: str) -> str:
        if name not in owner.attrs:
            raise InputError(f"{self.path}: {owner.name} lacks the attribute '{name}'")
        attribute = owner.attrs.get_id(name)
        kind, size = attribute.get_type(), attribute.get_storage_size()
        fixed = isinstance(kind, h5py.h5t.TypeStringID) and not kind.is_variable_str()
        if not fixed or attribute.shape != () or size > _MAX_TEXT:
            raise InputError(f"{self.path}: {owner.name}: attribute '{name}' is no short text")
        return bytes(owner.attrs[name]).decode()

    def _dataset(self, group: Any, name: str, clip_id: str) -> Any:
        where = f"{self.path}: clip {clip_id}: {name}"
        if not group.id.links.exists(name.encode()):
            raise InputError(f"{where} is missing; extract the clip anew")
        data = _own(group, name, where)
        dimensions, dtype = STORED[name]
        if not isinstance(data, h5py.Dataset) or data.dtype != dtype or data.ndim != dimensions:
            raise InputError(f"{where} is not a {dimensions}-dimensional {dtype} array; refused")
        settings = data.id.get_create_plist()
        filters = {settings.get_filter(i)[0] for i in range(settings.get_nfilters())}
        odd = settings.get_layout() == h5py.h5d.VIRTUAL or settings.get_external_count() > 0
        odd |= data.chunks not in {None, data.shape} or data.nbytes > _MAX_ARRAY_BYTES
        # What was never written would read as zeros.
        odd |= data.id.get_storage_size() < data.nbytes
        if odd or filters - {h5py.h5z.FILTER_FLETCHER32}:
            raise InputError(f"{where} is stored in a way that a cache never is; refused")
        return data

    def _array(self, group: Any, name: str, clip_id: str) -> NDArray[Any]:
        data = self._dataset(group, name, clip_id)
        try:
            values: NDArray[Any] = data[()]
        except OSError as error:
            raise InputError(
                f"{self.path}: clip {clip_id}: {name} is damaged; extract the clip anew"
            ) from error
        if name not in SCALED:
            return values
        scale = number(data, "scale_px")
        if not isinstance(scale, (float, np.floating)) or not np.isfinite(scale):
            raise InputError(f"{self.path}: clip {clip_id}: {name} has no scale_px")
        return (values * np.float32(scale)).astype(np.float32)


def _own(group: Any, name: str, where: str) -> Any:
    """Open what `group` holds itself under `name`; `InputError` if that is a link elsewhere."""
    if group.id.links.get_info(name.encode()).type != h5py.h5l.TYPE_HARD:
        raise InputError(f"{where} is a link, which a cache never holds; refused")
    return group[name]
