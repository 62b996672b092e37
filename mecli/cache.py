"""The cache: the only room that imports h5py. This text is its schema, version 2.

::

    /                              attrs: schema = 2, options = JSON of the extraction options
    /clips/<corpus>/<subject>/<name>     one group per clip id
      attrs  key      hex digest of source identity, extraction options and schema
             meta     JSON: the fields of `ClipRecord` that are not arrays
             sha256   hex digest of options, key, meta and all arrays as stored
      flow         (T, H, W, 2) int16   displacement from step 0, dx right, dy down, on a grid
                                        over the aligned face; attrs: scale_px, the pixels of
                                        the 240×280 face that one count stands for
      apex_flow    (H, W, 2) int16      the same, of the apex frame; attrs: scale_px
      roi_frames   (T, R, 48, 48, 3) uint8   RGB, one picture per step and ROI
      roi_boxes    (R, 4) float32       x0, y0, x1, y1 in the 240×280 face
      steps        (T,) float32         frame position in the clip of each step
      landmarks    (P, 68, 2) float32   pixels of the source frame
      landmark_positions  (P,) int32    frame position of each row (onset; apex)
      transforms   (F, 2, 3) float32    source frame → 240×280 face; row k is frame
                                        meta.first_frame + k
      curve        (F,) float32         motion since the onset of each frame, face pixels

All text is of fixed length. A clip that failed has no arrays; `meta` then says
``"status": "failed"`` and the reason. A corpus of ready-made flow images has roi_frames,
landmarks and transforms of length 0.

Beside the file, ``<cache>.parts/<key>.h5`` holds clips that are extracted but not yet
merged, each a whole cache of one clip. Every file appears by rename only, so a kill at any
moment leaves the old state or the new one. Reading trusts nothing: links, layouts, filters
and sizes are checked before HDF5 is asked for data.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections import Counter
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

# Without this an unknown filter in a hostile file makes HDF5 load every library it finds.
os.environ.setdefault("HDF5_PLUGIN_PRELOAD", "::")
import h5py

from mecli import files
from mecli.clips import check_part
from mecli.errors import InputError, MissingDependency, NotWritten
from mecli.labels import Annotation
from mecli.records import ARRAYS, META, ClipRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

SCHEMA = 2
# Of this version on, everything but the data itself has a checksum inside HDF5.
_VERSION = "v110"
# What each array is in the file: flow is stored as whole counts of `scale_px`.
_SCALED = ("flow", "apex_flow")
_STORED = {
    f.name: (f.metadata["ndim"], "int16" if f.name in _SCALED else f.metadata["dtype"])
    for f in fields(ClipRecord)
    if f.name in ARRAYS
}
# Below it nothing moves, and a count's scale would round to a float32 of zero.
_LEAST_PX = 1e-30
_MAX_TEXT = 1 << 20
_MAX_ARRAY_BYTES = 1 << 28
PARTS = ".parts"


def parts_folder(path: Path) -> Path:
    """Return the folder of clips that wait to be merged into the cache at `path`."""
    return path.with_name(path.name + PARTS)


def clip_image(record: ClipRecord, key: str, options: Mapping[str, Any]) -> bytes:
    """Return a whole cache file of one clip, built in memory, byte for byte reproducible."""
    with h5py.File.in_memory(libver=_VERSION) as file:
        _write_root(file, options)
        group = file.create_group(f"clips/{record.clip_id}")
        meta, names = _dump(record.meta()), _STORED if record.ok else ()
        _write_text(group, "key", key)
        _write_text(group, "meta", meta)
        for name in names:
            _write_array(group, name, getattr(record, name))
        _write_text(group, "sha256", _digest(group, names, (_dump(options), key, meta)))
        return _image(file)


def _root_image(options: Mapping[str, Any]) -> bytes:
    with h5py.File.in_memory(libver=_VERSION) as file:
        _write_root(file, options)
        return _image(file)


def _image(file: Any) -> bytes:
    file.flush()
    return bytes(file.id.get_file_image())


def _write_root(file: Any, options: Mapping[str, Any]) -> None:
    file.attrs["schema"] = SCHEMA
    _write_text(file, "options", _dump(options))
    file.require_group("clips")


def _write_text(owner: Any, name: str, text: str) -> None:
    # One flipped bit among texts of variable length can make HDF5 loop for ever.
    data = text.encode()
    owner.attrs.create(name, data, dtype=h5py.string_dtype("utf-8", max(1, len(data))))


def _write_array(group: Any, name: str, values: NDArray[Any]) -> None:
    dtype = _STORED[name][1]
    scale = 1.0
    if name in _SCALED:
        peak = float(np.abs(values).max(initial=0.0))
        if not np.isfinite(peak):
            raise InputError(f"{name} holds NaN or infinite numbers")
        scale = peak / 32767 if peak > _LEAST_PX else 1.0
        values = np.rint(values / scale)
    values = np.ascontiguousarray(values, dtype=dtype)
    checked = {"chunks": values.shape, "fletcher32": True} if values.size else {}
    data = group.create_dataset(name, data=values, **checked)
    if name in _SCALED:
        data.attrs["scale_px"] = scale


def _digest(group: Any, names: Iterable[str], texts: Iterable[str]) -> str:
    """Return the sha256 of all that is stored of one clip: options, key, meta, arrays `names`."""
    total = hashlib.sha256("\n".join(texts).encode())
    for name in sorted(names):
        data = group[name]
        scale = _number(data, "scale_px") if name in _SCALED else 1.0
        total.update(f"\n{name} {data.shape} {scale!r}\n".encode())
        total.update(data[()].tobytes())
    return total.hexdigest()


def _number(owner: Any, name: str) -> Any:
    """Return a lone number among the attributes of `owner`, None if there is none."""
    if name not in owner.attrs:
        return None
    attribute = owner.attrs.get_id(name)
    kinds = (h5py.h5t.TypeIntegerID, h5py.h5t.TypeFloatID)
    lone = isinstance(attribute.get_type(), kinds) and attribute.shape == ()
    return owner.attrs[name] if lone else None


def _dump(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)


def add(path: Path, record: ClipRecord, key: str, options: Mapping[str, Any]) -> None:
    """Put one clip beside the cache at `path`; safe from any number of processes at once."""
    files.write_bytes(parts_folder(path) / f"{key}.h5", clip_image(record, key, options))


def merge(path: Path, options: Mapping[str, Any], drop: Iterable[str] = ()) -> int:
    """Move all waiting parts into the cache at `path` in one atomic step; return how many.

    Clips in `drop` are left out. Raises `InputError` if the cache or a part was made with
    other options, or if the disk has too little room.
    """
    with _lock(path):
        parts = sorted(parts_folder(path).glob("[!.]*.h5"))
        dropped = set(drop)
        if parts or dropped or not path.exists():
            places = _places([path, *parts] if path.exists() else parts, options)
            _rewrite(path, {c: p for c, p in places.items() if c not in dropped}, options)
        for part in parts:
            part.unlink(missing_ok=True)
        _sweep(path)
    return len(parts)


def combine(path: Path, places: Mapping[str, Path], options: Mapping[str, Any]) -> None:
    """Replace the cache at `path` by the clips in `places`, each from the cache named there.

    Raises `InputError` if one of them was made with other options, or if the disk has too
    little room.
    """
    with _lock(path):
        _rewrite(path, places, options)


def _rewrite(path: Path, places: Mapping[str, Path], options: Mapping[str, Any]) -> None:
    sources = set(places.values())
    need = sum(source.stat().st_size for source in sources) + (1 << 20)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with contextlib.ExitStack() as stack:
        stack.callback(beside.unlink, missing_ok=True)
        with files.writing(path):
            beside.write_bytes(_root_image(options))
        _reserve(beside, need)
        with h5py.File(beside, "r+", libver=_VERSION) as file:
            _copy_all(file, places, options)
        with files.writing(path):
            with beside.open("rb") as written:
                os.fsync(written.fileno())
            beside.replace(path)
            files.sync_folder(path.parent)


def _places(sources: Iterable[Path], options: Mapping[str, Any]) -> dict[str, Path]:
    """Return each clip id with the last of `sources` that has it."""
    places: dict[str, Path] = {}
    for source in sources:
        with Cache(source) as cache:
            check_options(cache, options)
            places |= dict.fromkeys(cache.clip_ids, source)
    return places


def _copy_all(file: Any, places: Mapping[str, Path], options: Mapping[str, Any]) -> None:
    """Copy each clip from its place, in the order of clip ids."""
    clips_of = Counter(places.values())
    with contextlib.ExitStack() as stack:
        # Walking a large cache takes a while; parts of one clip would be too many to hold.
        large = {p: stack.enter_context(Cache(p)) for p, clips in clips_of.items() if clips > 1}
        for clip_id in sorted(places):
            place = places[clip_id]
            with contextlib.nullcontext(large[place]) if place in large else Cache(place) as cache:
                check_options(cache, options)
                cache.copy_into(file, clip_id)


def check_options(cache: Cache, options: Mapping[str, Any]) -> None:
    """Raise `InputError` if `cache` was made with other extraction options."""
    if cache.options != json.loads(_dump(options)):
        raise InputError(
            f"{cache.path}: was made with other extraction options "
            f"({_difference(cache.options, options)}); name another cache with -o, "
            "or rebuild this one with --force"
        )


def _difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    names = sorted(n for n in {*old, *new} if old.get(n) != new.get(n))
    return ", ".join(f"{n} {old.get(n)} there, {new.get(n)} now" for n in names)


def _reserve(path: Path, need: int) -> None:
    """Claim disk space before HDF5 writes: on a full disk it would crash the process."""
    with path.open("rb+") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, need)
        except OSError as error:
            raise NotWritten(
                f"{path.parent}: no room for the {need >> 20} MiB that merging needs "
                f"({error.strerror}); make room and run the same command again, nothing is lost"
            ) from error


def _sweep(path: Path) -> None:
    folder = parts_folder(path)
    files.sweep([*folder.glob(".*.tmp"), *path.parent.glob(f".{path.name}.*.tmp")])
    with contextlib.suppress(OSError):
        folder.rmdir()


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Let one process at a time merge; the others wait their turn."""
    import fcntl

    with files.writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.with_name(path.name + ".lock").open("a")
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def discard(path: Path) -> None:
    """Remove the cache at `path` and the parts beside it."""
    with _lock(path):
        for part in parts_folder(path).glob("*.h5"):
            part.unlink(missing_ok=True)
        path.unlink(missing_ok=True)


def waiting_keys(path: Path) -> set[str]:
    """Return the keys of the parts that wait to be merged into the cache at `path`."""
    return {part.stem for part in parts_folder(path).glob("[!.]*.h5")}


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


class Cache:
    """A cache opened for reading; a context manager. Raises `InputError` on anything odd."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            raise MissingDependency(f"{path}: no such cache; run `mecli extract SOURCE` first")
        if not path.is_file():
            raise InputError(f"{path}: is not a file, expected a cache")
        try:
            self._file = h5py.File(path, "r", locking=False)
        except OSError as error:
            raise InputError(
                f"{path}: not a readable HDF5 file; make it anew with `mecli extract`"
            ) from error
        try:
            with _telling_damage(path):
                self._check_root()
                self._places = dict(self._walk())
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Cache:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def clip_ids(self) -> tuple[str, ...]:
        """All clip ids, failed ones included, sorted."""
        return tuple(sorted(self._places))

    def key(self, clip_id: str) -> str:
        """Return the digest under which `clip_id` was extracted."""
        with _telling_damage(self.path):
            return self._text(self._group(clip_id), "key")

    def fingerprint(self) -> str:
        """Return a digest of everything in the cache that training can see."""
        digest = hashlib.sha256(_dump(self.options).encode())
        for clip_id in self.clip_ids:
            digest.update(f"\n{clip_id}={self.key(clip_id)}".encode())
        return digest.hexdigest()[:32]

    def annotations(self) -> list[Annotation]:
        """Return clip id, corpus and labels of every clip that did not fail."""
        records = map(self.summary, self.clip_ids)
        return [Annotation(r.clip_id, r.corpus, r.labels) for r in records if r.ok]

    def summaries(self) -> Iterator[ClipRecord]:
        """Yield every record without its arrays, by clip id."""
        return map(self.summary, self.clip_ids)

    def summary(self, clip_id: str) -> ClipRecord:
        """Return the record of `clip_id` without its arrays."""
        with _telling_damage(self.path):
            text = self._text(self._group(clip_id), "meta")
        try:
            meta = json.loads(text)
            unknown = set(meta) ^ set(META)
            if unknown:
                raise InputError(f"fields {sorted(unknown)} are missing or unknown")
            meta["issues"] = tuple(meta["issues"])
            record = ClipRecord(**meta)
        except (ValueError, TypeError, RecursionError) as error:
            raise InputError(f"{self.path}: clip {clip_id}: broken meta data: {error}") from error
        if record.clip_id != clip_id:
            raise InputError(f"{self.path}: clip {clip_id} calls itself {record.clip_id}")
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

    def records(self, clip_ids: Iterable[str] | None = None) -> Iterator[ClipRecord]:
        """Yield whole records by clip id, of `clip_ids` or of every clip that did not fail."""
        for clip_id in self.clip_ids if clip_ids is None else clip_ids:
            record = self.record(clip_id)
            if record.ok or clip_ids is not None:
                yield record

    def copy_into(self, file: Any, clip_id: str) -> None:
        """Copy `clip_id` into the open HDF5 `file`, checked array by array."""
        with _telling_damage(self.path):
            source = self._group(clip_id)
            target = file.create_group(f"clips/{clip_id}")
            for name in ("key", "meta", "sha256"):
                if name in source.attrs:
                    _write_text(target, name, self._text(source, name))
            for name in sorted(_STORED) if self.summary(clip_id).ok else ():
                self._dataset(source, name, clip_id)
                source.copy(name, target)

    def check(self, clip_id: str) -> ClipRecord:
        """Return the whole record of `clip_id`; `InputError` if one bit of it has changed."""
        record = self.record(clip_id)
        with _telling_damage(self.path):
            group = self._group(clip_id)
            texts = (_dump(self.options), self._text(group, "key"), self._text(group, "meta"))
            digest = _digest(group, _STORED if record.ok else (), texts)
            if self._text(group, "sha256") != digest:
                raise InputError(
                    f"{self.path}: clip {clip_id}: has changed since it was written (its sha256 "
                    "differs); extract it anew"
                )
        return record

    def _check_root(self) -> None:
        schema = _number(self._file, "schema")
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
        raw = name.encode()
        if not group.id.links.exists(raw):
            raise InputError(f"{self.path}: no '{name}' inside, expected a group; not a cache")
        if group.id.links.get_info(raw).type != h5py.h5l.TYPE_HARD:
            raise InputError(f"{self.path}: '{name}' is a link, which a cache never holds; refused")
        child = group[name]
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
        raw = name.encode()
        if not group.id.links.exists(raw):
            raise InputError(f"{where} is missing; extract the clip anew")
        if group.id.links.get_info(raw).type != h5py.h5l.TYPE_HARD:
            raise InputError(f"{where} is a link, which a cache never holds; refused")
        data = group[name]
        dimensions, dtype = _STORED[name]
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
        if name not in _SCALED:
            return values
        scale = _number(data, "scale_px")
        if not isinstance(scale, (float, np.floating)) or not np.isfinite(scale):
            raise InputError(f"{self.path}: clip {clip_id}: {name} has no scale_px")
        return (values * np.float32(scale)).astype(np.float32)


def open_cache(path: str | Path) -> Cache:
    """Open the cache at `path` for reading."""
    return Cache(Path(path))
