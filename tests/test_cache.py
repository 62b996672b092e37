from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mecli import cache as caches
from mecli.cache import Reader, add, clip_image, merge, open_cache, parts_folder, waiting_keys
from mecli.errors import InputError, MissingDependency, NotWritten
from mecli.records import ARRAYS, META, ClipRecord
from tests.records import make_record

OPTIONS = {"steps": 4, "flow": "dis"}


@pytest.fixture(params=["linux", "darwin"])
def platform(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where caches are read by a fork, and where by this process."""
    monkeypatch.setattr(sys, "platform", request.param)
    return str(request.param)


def fill(path: Path, *records: ClipRecord) -> Path:
    for number, record in enumerate(records):
        add(path, record, f"{number:04x}", OPTIONS)
    merge(path, OPTIONS)
    return path


def assert_same(a: ClipRecord, b: ClipRecord) -> None:
    assert {n: getattr(a, n) for n in META} == {n: getattr(b, n) for n in META}
    for name in ARRAYS:
        x, y = getattr(a, name), getattr(b, name)
        assert x.dtype == y.dtype
        if name in {"flow", "apex_flow"}:
            least = np.abs(x).max(initial=0) / 32000
            np.testing.assert_allclose(x, y, atol=max(least, 1e-30))
        else:
            np.testing.assert_array_equal(x, y)


@pytest.mark.usefixtures("platform")
@pytest.mark.parametrize("folder", [b"data", b"no text \xff"])
def test_a_record_comes_back_as_it_went_in(tmp_path: Path, folder: bytes) -> None:
    record = make_record()
    record = replace(record, source=os.fsdecode(folder))
    path = fill(tmp_path / "c.h5", record)
    with open_cache(path) as cache:
        assert cache.clip_ids == ("toy/s1/a",)
        assert cache.options == OPTIONS
        assert cache.key("toy/s1/a") == "0000"
        assert_same(cache.record("toy/s1/a"), record)
        assert cache.summary("toy/s1/a").flow.size == 0
    assert not parts_folder(path).exists()


@settings(max_examples=20, deadline=None)
@given(
    steps=st.integers(1, 5),
    labels=st.dictionaries(st.text(max_size=8), st.text(max_size=20), max_size=3),
    scale=st.floats(0, 1e4),
)
@example(steps=1, labels={}, scale=1.401298464324817e-45)
def test_any_record_round_trips(
    tmp_path_factory: pytest.TempPathFactory, steps: int, labels: dict[str, str], scale: float
) -> None:
    record = make_record(steps=steps, labels=labels)
    record = replace(record, flow=(record.flow * scale).astype(np.float32))
    path = fill(tmp_path_factory.mktemp("c") / "c.h5", record)
    with open_cache(path) as cache:
        assert_same(cache.record(record.clip_id), record)


def test_a_failed_clip_keeps_its_reason_and_no_arrays(tmp_path: Path) -> None:
    path = fill(tmp_path / "c.h5", make_record().failed("no face"), make_record("toy/s1/b"))
    with open_cache(path) as cache:
        broken = cache.record("toy/s1/a")
        assert (broken.ok, broken.reason, broken.flow.size) == (False, "no face", 0)
        assert [r.clip_id for r in cache.records()] == ["toy/s1/b"]
        assert [a.clip_id for a in cache.annotations()] == ["toy/s1/b"]
        assert len(list(cache.records(["toy/s1/a", "toy/s1/b"]))) == 2


def test_merging_in_any_order_gives_the_same_bytes(tmp_path: Path) -> None:
    a, b, c = (make_record(f"toy/s1/{n}", seed=i) for i, n in enumerate("abc"))
    once, twice = tmp_path / "once.h5", tmp_path / "twice.h5"
    for key, record in (("k1", a), ("k2", b), ("k3", c)):
        add(once, record, key, OPTIONS)
    assert merge(once, OPTIONS) == 3
    for key, record in (("k3", c), ("k1", a)):
        add(twice, record, key, OPTIONS)
    merge(twice, OPTIONS)
    add(twice, b, "k2", OPTIONS)
    assert waiting_keys(twice) == {"k2"}
    merge(twice, OPTIONS)
    assert once.read_bytes() == twice.read_bytes()


@pytest.mark.usefixtures("platform")
def test_a_newer_part_replaces_and_drop_removes(tmp_path: Path) -> None:
    path = fill(tmp_path / "c.h5", make_record(), make_record("toy/s1/b"))
    with open_cache(path) as cache:
        before = cache.fingerprint()
    add(path, make_record(fps=50.0), "ffff", OPTIONS)
    merge(path, OPTIONS)
    with open_cache(path) as cache:
        assert cache.summary("toy/s1/a").fps == 50.0
        assert cache.fingerprint() != before
    merge(path, OPTIONS, drop=["toy/s1/a"])
    with open_cache(path) as cache:
        assert cache.clip_ids == ("toy/s1/b",)


@pytest.mark.usefixtures("platform")
def test_a_cache_of_other_options_is_not_mixed_into(tmp_path: Path) -> None:
    path = fill(tmp_path / "c.h5", make_record())
    add(path, make_record("toy/s1/b"), "k", {"steps": 8, "flow": "dis"})
    with pytest.raises(InputError, match=r"steps 8 there, 4 now.*--force"):
        merge(path, OPTIONS)
    assert len(waiting_keys(path)) == 1


@pytest.mark.usefixtures("platform")
def test_a_missing_or_foreign_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingDependency, match=r"no such cache; run `mecli extract"):
        open_cache(tmp_path / "none.h5")
    with pytest.raises(InputError, match="is not a file"):
        open_cache(tmp_path)
    text = tmp_path / "text.h5"
    text.write_text("hello")
    with pytest.raises(InputError, match="not a readable HDF5 file"):
        open_cache(text)
    with h5py.File(tmp_path / "other.h5", "w"):
        pass
    with pytest.raises(InputError, match="not a mecli cache"):
        open_cache(tmp_path / "other.h5")
    with (
        pytest.raises(InputError, match="no clip x/y/z"),
        open_cache(fill(tmp_path / "c.h5", make_record())) as cache,
    ):
        cache.record("x/y/z")


def tampered(path: Path, change: Any) -> Path:
    fill(path, make_record())
    with h5py.File(path, "r+") as file:
        change(file, file["clips/toy/s1/a"])
    return path


def _schema(file: Any, _: Any) -> None:
    file.attrs["schema"] = 99


def _options(file: Any, _: Any) -> None:
    file.attrs["options"] = np.bytes_(b"{")


def _no_options(file: Any, _: Any) -> None:
    del file.attrs["options"]


def _no_clips(file: Any, _: Any) -> None:
    del file["clips"]


def _soft_group(file: Any, _: Any) -> None:
    file["clips/evil"] = h5py.SoftLink("/clips/toy")


def _twice_inside(file: Any, _: Any) -> None:
    file["clips/toy/s2"] = file["clips/toy/s1"]


def _circle(file: Any, _: Any) -> None:
    file["clips/toy/s2"] = file["clips"]


def _schema_as_text(file: Any, _: Any) -> None:
    file.attrs["schema"] = "2"


def _data_as_group(file: Any, _: Any) -> None:
    file["clips/evil"] = np.zeros(3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_schema, "schema version 99, expected 2"),
        (_options, "broken extraction options"),
        (_no_options, "lacks the attribute 'options'"),
        (_no_clips, "no 'clips' inside"),
        (_soft_group, "'evil' is a link"),
        (_data_as_group, "'evil' is no group"),
        (_twice_inside, "'s2' is inside twice"),
        (_circle, "'s2' is inside twice"),
        (_schema_as_text, "no schema version inside"),
    ],
)
@pytest.mark.parametrize("opening", [open_cache, Reader])
def test_a_hostile_or_old_structure_is_refused(
    tmp_path: Path, opening: Any, change: Any, message: str
) -> None:
    path = tampered(tmp_path / "c.h5", change)
    with pytest.raises(InputError, match=message):
        opening(path)


def _missing(_: Any, clip: Any) -> None:
    del clip["flow"]


def _external(_: Any, clip: Any) -> None:
    del clip["flow"]
    clip["flow"] = h5py.ExternalLink("/etc/passwd", "/x")


def _raw_external(_: Any, clip: Any) -> None:
    del clip["flow"]
    clip.create_dataset("flow", (1, 4, 4, 2), "int16", external=[("/etc/passwd", 0, 64)])


def _virtual(_: Any, clip: Any) -> None:
    del clip["curve"]
    layout = h5py.VirtualLayout((8,), "float32")
    layout[:] = h5py.VirtualSource(".", "/clips/toy/s1/a/curve", (8,))
    clip.create_virtual_dataset("curve", layout)


def _bomb(_: Any, clip: Any) -> None:
    del clip["curve"]
    clip.create_dataset("curve", (1 << 32,), "float32", chunks=(1 << 20,))


def _compressed(_: Any, clip: Any) -> None:
    del clip["curve"]
    clip.create_dataset("curve", data=np.zeros(9, "float32"), compression="gzip")


def _wrong_type(_: Any, clip: Any) -> None:
    del clip["curve"]
    clip["curve"] = np.zeros(4)


def _no_scale(_: Any, clip: Any) -> None:
    del clip["flow"].attrs["scale_px"]


def _meta(text: str) -> Any:
    def change(_: Any, clip: Any) -> None:
        clip.attrs["meta"] = np.bytes_(text.encode())

    return change


def _long_meta(_: Any, clip: Any) -> None:
    del clip.attrs["meta"]
    clip.attrs["meta"] = 5


def _text_of_any_length(_: Any, clip: Any) -> None:
    clip.attrs["meta"] = clip.attrs["meta"].decode()


def _never_written(_: Any, clip: Any) -> None:
    del clip["curve"]
    clip.create_dataset("curve", (8,), "float32", chunks=(8,))


def _scale_is_text(_: Any, clip: Any) -> None:
    clip["flow"].attrs["scale_px"] = "1.0"


def _impostor(_: Any, clip: Any) -> None:
    clip.attrs["meta"] = np.bytes_(clip.attrs["meta"].replace(b"toy/s1/a", b"toy/s1/b"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_missing, "flow is missing"),
        (_external, "flow is a link"),
        (_raw_external, "stored in a way that a cache never is"),
        (_virtual, "stored in a way that a cache never is"),
        (_bomb, "stored in a way that a cache never is"),
        (_compressed, "stored in a way that a cache never is"),
        (_wrong_type, "is not a 1-dimensional float32 array"),
        (_no_scale, "no scale_px"),
        (_meta("{"), "broken meta data"),
        (_meta("{}"), "missing or unknown"),
        (_meta("[" * 100_000), "broken meta data"),
        (_long_meta, "is no short text"),
        (_text_of_any_length, "is no short text"),
        (_never_written, "stored in a way that a cache never is"),
        (_scale_is_text, "no scale_px"),
        (_impostor, "calls itself toy/s1/b"),
    ],
)
@pytest.mark.parametrize("opening", [open_cache, Reader])
def test_a_hostile_clip_is_refused(tmp_path: Path, opening: Any, change: Any, message: str) -> None:
    path = tampered(tmp_path / "c.h5", change)
    with opening(path) as cache, pytest.raises(InputError, match=message):
        cache.record("toy/s1/a")


def children() -> set[int]:
    return set(map(int, Path("/proc/thread-self/children").read_text().split()))


@pytest.mark.skipif(sys.platform != "linux", reason="forks of Linux")
def test_a_reader_that_dies_is_told_with_its_cache(tmp_path: Path) -> None:
    path = fill(tmp_path / "c.h5", make_record(), make_record("toy/s1/b"))
    before = children()
    with open_cache(path) as cache:
        assert cache.record("toy/s1/a").ok
        (reader,) = children() - before
        os.kill(reader, signal.SIGSEGV)
        with pytest.raises(InputError, match=r"c\.h5: crashed its reader \(SIGSEGV\)"):
            cache.record("toy/s1/b")


@pytest.mark.usefixtures("platform")
def test_a_flipped_bit_is_noticed(tmp_path: Path) -> None:
    record = make_record()
    path = fill(tmp_path / "c.h5", record)
    data = bytearray(path.read_bytes())
    place = data.find(record.roi_frames.tobytes()[:64])
    assert place > 0
    data[place + 5] ^= 4
    path.write_bytes(data)
    with open_cache(path) as cache, pytest.raises(InputError, match="roi_frames is damaged"):
        cache.record("toy/s1/a")


def test_meta_data_of_any_length_are_kept(tmp_path: Path) -> None:
    labels = {"note": "ä" * 100_000}
    with open_cache(fill(tmp_path / "c.h5", make_record(labels=labels))) as cache:
        assert cache.check("toy/s1/a").labels == labels


def test_nan_in_flow_is_refused_on_writing() -> None:
    record = make_record()
    record.flow[0, 0, 0, 0] = np.nan
    with pytest.raises(InputError, match="flow holds NaN"):
        clip_image(record, "k", OPTIONS)


def test_a_full_disk_is_a_clean_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = fill(tmp_path / "c.h5", make_record())
    before = path.read_bytes()
    add(path, make_record("toy/s1/b"), "k", OPTIONS)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        with pytest.raises(InputError, match=r"no room for the 1 MiB.*nothing is lost"):
            merge(path, OPTIONS)
    assert path.read_bytes() == before
    assert merge(path, OPTIONS) == 1
    assert [p.name for p in tmp_path.iterdir() if "tmp" in p.name] == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotWritten, match=r"file/c\.h5: cannot be written"):
        merge(tmp_path / "file" / "c.h5", OPTIONS)
    with pytest.raises(NotWritten, match=r"k\.h5: cannot be written"):
        add(tmp_path / "file" / "c.h5", make_record(), "k", OPTIONS)


def test_leftovers_of_killed_writers_are_swept_when_old(tmp_path: Path) -> None:
    path = tmp_path / "c.h5"
    add(path, make_record(), "k", OPTIONS)
    old, young = (parts_folder(path) / f".{n}.tmp" for n in ("old", "young"))
    for file in (old, young):
        file.touch()
    os.utime(old, (time.time() - 9999,) * 2)
    merge(path, OPTIONS)
    assert (old.exists(), young.exists()) == (False, True)


def test_the_schema_in_the_docstring_names_every_array() -> None:
    assert caches.__doc__ is not None
    assert all(name in caches.__doc__ for name in ARRAYS)


@pytest.mark.usefixtures("platform")
def test_caches_are_combined_from_the_places_named(tmp_path: Path) -> None:
    one = fill(tmp_path / "one.h5", make_record(), make_record("toy/s1/b"))
    two = fill(tmp_path / "two.h5", make_record(fps=50.0), make_record("toy/s1/c"))
    out = tmp_path / "out.h5"
    places = {"toy/s1/a": two, "toy/s1/b": one, "toy/s1/c": two}
    assert caches.combine(out, lambda: (OPTIONS, places)) == 3
    with open_cache(out) as cache:
        assert cache.clip_ids == ("toy/s1/a", "toy/s1/b", "toy/s1/c")
        assert cache.check("toy/s1/a").fps == 50.0
    with pytest.raises(InputError, match="other extraction options"):
        caches.combine(out, lambda: ({"steps": 5}, {"toy/s1/a": two}))
