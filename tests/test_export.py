"""Exports hold what the cache holds, our own reader takes them back, and nothing is lost."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import cv2
import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from mecli import cache as store
from mecli import cli
from mecli.corpora.sources import inspect_sources
from mecli.errors import InputError, UsageError
from mecli.export import ExportOptions, archive_names, export, flow_picture, in_window
from mecli.records import NO_LANDMARKER
from mecli.rois import ROI_NAMES
from tests.records import make_record

if TYPE_CHECKING:
    from pathlib import Path

    from mecli.records import ClipRecord

ARCHIVE = ExportOptions(form="flow-archive")


def fill(path: Path, *made: ClipRecord) -> Path:
    for number, record in enumerate(made):
        store.add(path, record, f"{number}", {})
    store.merge(path, {})
    return path


def read_png(path: Path) -> Any:
    image: Any = cv2.imread(str(path))
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_folders_hold_every_picture_array_and_label(tmp_path: Path) -> None:
    record = make_record(labels={"emotion": "disgust, strong"})
    bare = make_record("toy/s2/flow only", roi_frames=record.roi_frames[:0])
    cache = fill(tmp_path / "c.h5", record, bare, make_record("toy/s3/c").failed("no face"))
    told: list[str] = []
    done = export(cache, tmp_path / "out", progress=lambda _d, _t, clip: told.append(clip))
    assert (done.clips, done.left_out) == (2, {"toy/s3/c": "no face"})
    assert told == ["toy/s1/a", "toy/s2/flow only", "toy/s3/c"]
    folder = tmp_path / "out" / "toy" / "s1" / "a"
    for roi, name in enumerate(ROI_NAMES):
        for step in range(4):
            picture = read_png(folder / name / f"{step:03d}.png")
            np.testing.assert_array_equal(picture, record.roi_frames[step, roi])
    with np.load(folder / "arrays.npz", allow_pickle=False) as arrays:
        np.testing.assert_allclose(arrays["flow"], record.flow, atol=1e-3)
        np.testing.assert_array_equal(arrays["landmarks"], record.landmarks)
    rows = table(tmp_path / "out" / "clips.csv")
    assert rows[0]["label_emotion"] == "disgust, strong"
    assert (rows[0]["onset"], rows[0]["quality_residual_px"]) == ("2", "0.05")
    assert (rows[2]["status"], rows[2]["folder"]) == ("failed", "")
    assert done.files == sum(p.is_file() for p in (tmp_path / "out").rglob("*"))
    assert {p.name for p in tmp_path.iterdir()} == {"c.h5", "c.h5.lock", "out"}


def test_our_reader_takes_a_flow_archive_back(tmp_path: Path) -> None:
    made = [
        make_record("casme2/sub01/EP02_01f", labels={"emotion": "happiness"}),
        make_record("casme2/sub01/EP02", labels={"emotion": "disgust"}),
        make_record("casme2/sub01/EP02_1", labels={"emotion": "repression"}),
        make_record("samm/sub01/EP02", labels={"emotion": "Surprise"}),
        make_record("casme2/sub02/x", labels={"emotion": "others"}),
        make_record("casme2/sub02/y").failed("no face"),
    ]
    done = export(fill(tmp_path / "c.h5", *made), tmp_path / "out", ARCHIVE)
    assert done.clips == 4
    assert set(done.left_out) == {"casme2/sub02/x", "casme2/sub02/y"}
    (reading,) = inspect_sources([tmp_path / "out"])
    assert reading.corpus == "flow-archive"
    assert reading.notes == ()
    labels = {clip.clip_id: clip.labels["megc2019"] for clip in reading.clips}
    assert labels == {
        "casme2/sub01/EP02": "negative",
        "casme2/sub01/EP02_01f": "positive",
        "casme2/sub01/EP02_1": "negative",
        "samm/sub01/EP02": "surprise",
    }
    for clip in reading.clips:
        assert clip.issues == ()
        assert isinstance(clip.frames, tuple)
        (path,) = clip.frames
        with store.open_cache(tmp_path / "c.h5") as cache:
            wanted = flow_picture(in_window(cache.record(clip.clip_id)))
        np.testing.assert_array_equal(read_png(path), wanted)


def test_a_flow_picture_holds_u_v_and_strain_each_over_its_own_range() -> None:
    y, x = np.mgrid[0:70, 0:60].astype(np.float32)
    flow = np.stack([x**2 / 100, -y], axis=-1).astype(np.float32)
    picture = flow_picture(flow)
    assert picture.shape == (28, 28, 3)
    assert picture.dtype == np.uint8
    assert (picture.reshape(-1, 3).min(axis=0) == 0).all()
    assert (picture.reshape(-1, 3).max(axis=0) == 255).all()
    assert (picture[:, 0, 0] == 0).all()
    assert (picture[0, :, 1] == 255).all()
    assert picture[10, 27, 2] > picture[10, 3, 2]
    still = flow_picture(np.zeros((14, 12, 2), dtype=np.float32))
    assert still.max() == 0


def test_an_archive_shows_the_window_of_the_field_which_is_more_than_our_face() -> None:
    y, x = np.mgrid[0:70, 0:60].astype(np.float32)
    # A place of the 240×280 face, and the motion there is its own position in it.
    places = (np.stack([4 * x + 2, 4 * y + 2], axis=-1)).astype(np.float32)
    record = replace(make_record("a/s/c"), apex_flow=places)
    wide = in_window(record)
    assert wide.shape == (84, 84, 2)
    across = -22 + (np.arange(84) + 0.5) * 284 / 84
    down = -57 + (np.arange(84) + 0.5) * 341 / 84
    np.testing.assert_allclose(wide[40, :, 0], np.clip(across, 2, 238), atol=0.1)
    np.testing.assert_allclose(wide[:, 40, 1], np.clip(down, 2, 278), atol=0.1)
    came_as_one = replace(record, landmarker=NO_LANDMARKER)
    np.testing.assert_array_equal(in_window(came_as_one), places)


def test_files_of_clips_that_share_a_name_do_not_meet() -> None:
    ids = ["a/s/b_c", "a/s_b/c", "b/s/b_c", "b/S/B_C", "b/s_b/c"]
    names = archive_names(ids)
    assert names["a/s/b_c"] == "s_b_c .png"
    assert len({name.casefold() for name in names.values()}) == len(ids)


def test_a_cache_without_a_class_of_megc2019_gives_no_archive(tmp_path: Path) -> None:
    cache = fill(tmp_path / "c.h5", make_record(labels={"emotion": "others"}))
    with pytest.raises(InputError, match="no clip has a class of megc2019"):
        export(cache, tmp_path / "out", ARCHIVE)
    assert not (tmp_path / "out").exists()


def test_nothing_is_replaced_without_force_and_other_files_stay(tmp_path: Path) -> None:
    cache, out = fill(tmp_path / "c.h5", make_record()), tmp_path / "out"
    out.mkdir()
    export(cache, out)
    (out / "clips.csv").write_text("mine")
    (out / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty"):
        export(cache, out)
    assert (out / "clips.csv").read_text() == "mine"
    export(cache, out, ExportOptions(force=True))
    assert (out / "clips.csv").read_text().startswith("clip,folder")
    assert (out / "notes.txt").read_text() == "mine"
    with pytest.raises(InputError, match="is a file"):
        export(cache, cache)


def test_no_clip_leads_out_of_the_folder(tmp_path: Path) -> None:
    cache = fill(tmp_path / "c.h5", make_record())
    with h5py.File(cache, "r+") as file:
        group = file["clips/toy/s1/a"]
        meta = json.loads(group.attrs["meta"]) | {"clip_id": "toy/../a", "subject": ".."}
        group.attrs["meta"] = np.bytes_(json.dumps(meta).encode())
        file.move("clips/toy/s1", "clips/toy/..")
    with pytest.raises(InputError, match=r"part '\.\.' cannot be part of a clip id"):
        export(cache, tmp_path / "out")
    other, away = fill(tmp_path / "d.h5", make_record()), tmp_path / "away"
    (tmp_path / "out").mkdir()
    away.mkdir()
    (tmp_path / "out" / "toy").symlink_to(away)
    with pytest.raises(InputError, match="leads out of"):
        export(other, tmp_path / "out", ExportOptions(force=True))
    assert not list(away.iterdir())


def test_what_a_killed_export_left_goes_once_nobody_can_own_it(tmp_path: Path) -> None:
    cache = fill(tmp_path / "c.h5", make_record())
    room = tmp_path / "room"
    for name in (".out [1].7.tmp", ".out [1].8.tmp", ".other.9.tmp", "kept"):
        (room / name / "toy").mkdir(parents=True)
        (room / name / "toy" / "000.png").write_bytes(b"")
    (room / ".out [1].10.tmp").symlink_to(room / "kept")
    for path in room.rglob("*"):
        os.utime(path, (0, 0), follow_symlinks=False)
    os.utime(room / ".out [1].8.tmp" / "toy" / "000.png")
    export(cache, room / "out [1]")
    left = {".out [1].8.tmp", ".out [1].10.tmp", ".other.9.tmp", "kept", "out [1]"}
    assert {path.name for path in room.iterdir()} == left
    assert (room / "kept" / "toy" / "000.png").exists()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    cache = fill(tmp_path / "c.h5", make_record())
    with pytest.raises(InputError, match="cannot be written"):
        export(cache, cache / "inside")
    with pytest.raises(UsageError, match="expected folders or flow-archive"):
        ExportOptions(form="zip")


def test_the_command_prints_what_was_written(tmp_path: Path) -> None:
    cache = fill(tmp_path / "c.h5", make_record(), make_record("toy/s1/b").failed("no face"))
    run = CliRunner().invoke
    text = run(cli.app, ["export", str(cache), str(tmp_path / "a")])
    assert (text.exit_code, "left out" in text.stdout) == (0, True)
    flags = ["--format", "flow-archive", "--json"]
    document = json.loads(run(cli.app, ["export", str(cache), str(tmp_path / "b"), *flags]).stdout)
    assert document["files"] == 2
    assert document["left_out"] == [{"clip": "toy/s1/b", "reason": "no face"}]
