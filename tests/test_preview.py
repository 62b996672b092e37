"""Contact sheets: the colours mean what the legend says, and every kind of input is drawn."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from mecli import cache as store
from mecli import cli
from mecli.errors import InputError, UsageError
from mecli.preview import PreviewOptions, choose_clips, preview
from mecli.report.colours import flow_colours, legend
from mecli.report.pictures import contact_sheet, png
from tests.moving_records import record as moving
from tests.records import make_record

if TYPE_CHECKING:
    from pathlib import Path

    from mecli.records import ClipRecord

HERE = PreviewOptions(jobs=0, landmarks="embedded")


def fill(path: Path, *made: ClipRecord) -> Path:
    for number, record in enumerate(made):
        store.add(path, record, f"{number}", {})
    store.merge(path, {})
    return path


def drawable(clip_id: str = "toy/s1/a", **changes: Any) -> ClipRecord:
    boxes = np.array([[10, 10, 90, 60]] * 6, dtype=np.float32)
    return make_record(clip_id, roi_boxes=boxes, **changes)


def test_hue_is_direction_and_brightness_is_size() -> None:
    moves = np.array([[[1, 0], [0, 1], [-1, 0], [0, -1], [0.5, 0], [9, 0], [0, 0]]], np.float32)
    right, down, left, up, half, far, still = flow_colours(moves, 1.0)[0].astype(int)
    assert tuple(right) == tuple(far) == (255, 0, 0)
    assert abs(half - right // 2).max() <= 1
    assert still.max() == 0
    assert down[1] > down[0] > down[2]
    assert left[2] > 200 > left[0]
    assert up[2] > up[0] > up[1]


def test_the_legend_shows_each_direction_where_it_points() -> None:
    disc = legend(101)
    assert tuple(disc[0, 0]) == (255, 255, 255)
    assert disc[50, 50].max() < 10
    edge = flow_colours(np.array([[[1, 0], [0, -1]]], np.float32), 1.0)[0].astype(int)
    assert abs(disc[50, 99].astype(int) - edge[0]).max() < 12
    assert abs(disc[1, 50].astype(int) - edge[1]).max() < 12


def test_a_cached_clip_shows_rois_flow_and_curve_without_video() -> None:
    record = drawable()
    sheet = contact_sheet(record)
    assert sheet.dtype == np.uint8
    without = contact_sheet(replace(record, curve=record.curve[:0]))
    assert without.shape[0] < sheet.shape[0]
    flow_only = contact_sheet(
        replace(record, roi_frames=record.roi_frames[:0], fps=None, labels={})
    )
    assert flow_only.shape[0] < sheet.shape[0]
    bare = contact_sheet(moving("s1", "a", 1, rgb=False))
    assert bare.shape[1] == sheet.shape[1]
    with pytest.raises(InputError, match="ROI boxes without area"):
        contact_sheet(replace(record, roi_boxes=record.roi_boxes * 0))


def test_landmarks_and_frames_are_drawn_from_a_source(tmp_path: Path, sample: Path) -> None:
    out = tmp_path / "out.png"
    drawn = preview(sample, ["s01_02"], out, HERE)
    assert drawn.clips == ("synth/s01/s01_02",)
    sheet: Any = cv2.imread(str(out))
    green = (np.abs(sheet.astype(int) - (110, 220, 60)).max(axis=-1) < 8).sum()
    assert green > 3 * 68
    with pytest.raises(InputError, match="exists; name another file"):
        preview(sample, ["s01_02"], out, HERE)


def test_a_page_holds_its_pictures_and_escapes_names(tmp_path: Path) -> None:
    path = fill(
        tmp_path / "c.h5", drawable("toy/<b>/a"), drawable(), make_record("toy/s1/z").failed("x")
    )
    out = tmp_path / "out.html"
    drawn = preview(path, [], out, PreviewOptions(count=5))
    assert drawn.clips == ("toy/<b>/a", "toy/s1/a")
    page = out.read_text()
    assert "<h2>toy/&lt;b&gt;/a</h2>" in page
    found = re.findall(r"base64,([^\"]+)", page)
    assert len(found) == 2
    assert base64.b64decode(found[1]) == png(contact_sheet(_read(path, "toy/s1/a")))
    assert "://" not in page


def _read(path: Path, clip_id: str) -> ClipRecord:
    with store.open_cache(path) as cache:
        return cache.record(clip_id)


def test_clips_are_named_by_id_or_end_and_wrong_names_are_told(tmp_path: Path) -> None:
    known = ["a/s1/x", "a/s1/y", "b/s1/x"]
    assert choose_clips(tmp_path, known, ["b/s1/x", "y", "s1/y"], 1) == ["b/s1/x", "a/s1/y"]
    assert choose_clips(tmp_path, known, [], 2) == ["a/s1/x", "b/s1/x"]
    with pytest.raises(InputError, match="may be a/s1/x, b/s1/x"):
        choose_clips(tmp_path, known, ["x"], 1)
    with pytest.raises(InputError, match="no clip 'a/s1/z' inside; near are a/s1/"):
        choose_clips(tmp_path, known, ["a/s1/z"], 1)
    with pytest.raises(InputError, match="holds no clip"):
        choose_clips(tmp_path, [], [], 1)


def test_a_clip_that_cannot_be_drawn_is_told_and_the_others_are(
    tmp_path: Path, sample: Path
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "bad.mp4").write_bytes(b"no video")
    (tmp_path / "in" / "good.mp4").write_bytes((sample / "clips" / "s01_02.mp4").read_bytes())
    told: list[int] = []
    drawn = preview(
        tmp_path / "in",
        [],
        tmp_path / "out.png",
        PreviewOptions(count=2, jobs=0, landmarks="embedded"),
        progress=lambda done, _total, _clip: told.append(done),
    )
    assert len(drawn.clips) == len(drawn.failures) == 1
    assert told == [1, 2]
    with pytest.raises(InputError, match="no clip could be drawn"):
        preview(tmp_path / "in" / "bad.mp4", [], tmp_path / "x.png", HERE)
    assert not (tmp_path / "x.png").exists()


def test_wrong_options_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"ends in \.png or \.html"):
        preview(tmp_path, [], tmp_path / "out.pdf")
    wrongs: tuple[dict[str, Any], ...] = ({"count": 0}, {"jobs": -1}, {"timeout_s": 0})
    for wrong in wrongs:
        with pytest.raises(UsageError, match="expected"):
            PreviewOptions(**wrong)


def test_the_command_says_where_the_picture_is(tmp_path: Path) -> None:
    path = fill(tmp_path / "c.h5", drawable(), drawable("toy/s2/b").failed("no face"))
    out = tmp_path / "out.png"
    run = CliRunner().invoke
    assert run(cli.app, ["preview", str(path), "-o", str(out)]).stdout == f"{out}\n"
    assert out.is_file()
    result = run(cli.app, ["preview", str(path), "a", "b", "-o", str(out), "--force", "--json"])
    assert result.exit_code == 3
    assert "no face" in result.stderr
    assert '"toy/s1/a"' in result.stdout
