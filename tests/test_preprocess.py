"""The way from frames to flow, held against faces whose every pixel's motion is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import cv2
import numpy as np
import pytest

from mecli.alignment import invert
from mecli.clips import Clip
from mecli.corpora.sources import read_sources
from mecli.errors import InputError, UnknownName
from mecli.footage import Stopwatch
from mecli.head_motion import polynomial, rigid
from mecli.landmarks.choose import choose
from mecli.preprocess import preprocess
from mecli.recipe import Recipe
from mecli.rois import FACE_SIZE, ROI_NAMES
from mecli.steps import EVERYTHING, GRID, Need
from mecli.synthesis.pairs import PairOptions, pairs
from mecli.video import read_frames

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mecli.interfaces import Face, Landmarker

RECIPE = Recipe(steps=6)


@pytest.fixture(scope="module")
def landmarker() -> Landmarker:
    return choose("embedded")


@pytest.fixture(scope="module")
def clips(sample: Path) -> dict[str, Clip]:
    return {clip.name: clip for clip in read_sources([sample])}


def write_images(folder: Path, images: list[NDArray[np.uint8]]) -> tuple[Path, ...]:
    folder.mkdir(exist_ok=True)
    paths = tuple(folder / f"{k:03d}.png" for k in range(len(images)))
    for path, image in zip(paths, images, strict=True):
        cv2.imwrite(str(path), image[..., ::-1] if image.ndim == 3 else image)
    return paths


def on_face_grid(field: NDArray[Any], transform: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sample a true flow of the source frame where the cells of the face's grid lie."""
    cell = FACE_SIZE[0] / GRID[0]
    y, x = (np.mgrid[: GRID[0], : GRID[1]] + 0.5) * cell - 0.5
    back = invert(transform)
    source_x = back[0, 0] * x + back[0, 1] * y + back[0, 2]
    source_y = back[1, 0] * x + back[1, 1] * y + back[1, 2]
    there = cv2.remap(
        field, source_x.astype(np.float32), source_y.astype(np.float32), cv2.INTER_LINEAR
    )
    return np.asarray(there @ transform[:, :2].T, dtype=np.float32)


def test_flow_follows_the_known_motion_of_synthetic_faces(
    tmp_path: Path, landmarker: Landmarker
) -> None:
    options = PairOptions(truth=True, mm=(1.0, 2.5), none=0.0, per_actor=1)
    correlations, errors = [], []
    for k, pair in enumerate(pairs(subjects=range(300, 312), n=12, seed=5, options=options)):
        frames = write_images(tmp_path / str(k), [pair.onset, pair.apex])
        record = preprocess(Clip("t", "s", str(k), frames, 0, 1, 1), RECIPE, landmarker)
        assert pair.flow is not None
        points = record.landmarks[0] @ record.transforms[0][:, :2].T + record.transforms[0][:, 2]
        truth = rigid(on_face_grid(pair.flow, record.transforms[0])[None], points)[0]
        size = np.hypot(truth[..., 0], truth[..., 1])
        moving = (size > 0.5) & (size < 6)
        correlations.append(
            np.corrcoef(record.apex_flow[moving].T.ravel(), truth[moving].T.ravel())[0, 1]
        )
        errors.append(np.hypot(*(record.apex_flow - truth)[size < 6].T).mean())
    assert np.median(correlations) > 0.8
    assert np.median(errors) < 0.3


def test_head_motion_is_taken_out_as_the_recipe_says(
    landmarker: Landmarker, clips: dict[str, Clip]
) -> None:
    kinds = ("none", "polynomial", "rigid")
    whole, field, head = (
        preprocess(clips["s01_02"], Recipe(steps=4, head_motion=kind), landmarker) for kind in kinds
    )
    points = whole.landmarks[0] @ whole.transforms[0][:, :2].T + whole.transforms[0][:, 2]
    np.testing.assert_allclose(head.flow, rigid(whole.flow, points), atol=1e-6)
    np.testing.assert_allclose(field.flow, polynomial(whole.flow, points), atol=1e-6)
    assert np.abs(head.apex_flow - field.apex_flow).max() > 0.1
    assert np.array_equal(head.roi_frames, whole.roi_frames)


def test_landmarks_that_span_no_face_are_an_error_of_that_clip(
    landmarker: Landmarker, clips: dict[str, Clip]
) -> None:
    class Upset:
        """Finds the face, but its nose above its eyes."""

        name: ClassVar[str] = "upset"
        paper: ClassVar[str] = ""
        doi: ClassVar[str] = ""

        def find(self, *asked: Any) -> list[list[Face]]:
            found = landmarker.find(*asked)
            for face in (face for faces in found for face in faces):
                face.landmarks[27:36, 1] = face.landmarks[19, 1] - 20
            return found

    with pytest.raises(InputError, match=r"clip .*s01_02: landmarks span no face"):
        preprocess(clips["s01_02"], RECIPE, Upset())


def test_what_nobody_needs_is_left_out_and_the_rest_is_the_same(
    landmarker: Landmarker, clips: dict[str, Clip]
) -> None:
    clip = clips["s01_02"]
    for recipe in (RECIPE, Recipe(steps=6, temporal="tim", magnify="lagrangian:3")):
        whole = preprocess(clip, recipe, landmarker, need=EVERYTHING)
        for steps in (frozenset[int](), frozenset({1, 4})):
            need = Need(steps, pictures=False)
            thin = preprocess(clip, recipe, landmarker, need=need)
            seen = sorted(steps)
            assert np.array_equal(thin.flow[seen], whole.flow[seen])
            assert np.isnan(np.delete(thin.flow, seen, axis=0)).all()
            assert np.array_equal(thin.apex_flow, whole.apex_flow)
            assert np.array_equal(thin.landmarks, whole.landmarks[:1])
            assert not len(thin.roi_frames)
            assert (thin.quality, thin.curve.tolist()) == (whole.quality, whole.curve.tolist())


def test_alignment_takes_a_known_head_motion_out(
    tmp_path: Path, landmarker: Landmarker, clips: dict[str, Clip]
) -> None:
    still = next(read_frames(clips["s01_02"].frames, 10)).image
    height, width = still.shape[:2]
    shifts = [(1.3 * np.sin(k / 3), 0.9 * k / 5, 0.15 * k) for k in range(12)]
    images = []
    for right, down, degrees in shifts:
        move = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1 + 0.001 * degrees)
        move[:, 2] += np.array([right, down])
        moved = cv2.warpAffine(still, move, (width, height), borderMode=cv2.BORDER_REPLICATE)
        images.append(np.asarray(moved, dtype=np.uint8))
    record = preprocess(
        Clip("t", "s", "n", write_images(tmp_path / "c", images)), RECIPE, landmarker
    )
    assert record.quality["head_motion_px"] > 3
    assert record.quality["residual_px"] < 0.2
    inner = record.flow[:, 8:-8, 8:-8]
    assert np.hypot(inner[..., 0], inner[..., 1]).mean() < 0.15


def test_a_record_holds_what_the_schema_promises(
    landmarker: Landmarker, clips: dict[str, Clip]
) -> None:
    watch = Stopwatch()
    clip = clips["s01_02"]
    record = preprocess(clip, RECIPE, landmarker, watch)
    assert clip.onset is not None
    assert clip.offset is not None
    frames = clip.offset - clip.onset + 1
    assert record.flow.shape == (6, *GRID, 2)
    assert record.apex_flow.shape == (*GRID, 2)
    assert record.roi_frames.shape == (6, len(ROI_NAMES), 48, 48, 3)
    assert record.transforms.shape == (frames, 2, 3)
    assert record.curve.shape == (frames,)
    assert record.landmarks.shape == (2, 68, 2)
    assert record.landmark_positions.tolist() == [clip.onset, clip.apex]
    assert (record.steps[0], record.steps[-1]) == (clip.onset, clip.offset)
    assert (record.onset, record.apex, record.offset) == (clip.onset, clip.apex, clip.offset)
    assert not record.apex_estimated
    assert record.fps == 100
    assert np.abs(record.flow[0]).max() < 0.05
    assert all(np.isfinite(getattr(record, n)).all() for n in ("flow", "curve", "transforms"))
    assert {"decode", "landmarks", "align", "curve", "warp", "flow"} == set(watch.seconds)


def test_the_same_clip_gives_the_same_record(
    landmarker: Landmarker, clips: dict[str, Clip]
) -> None:
    first = preprocess(clips["s02_02"], RECIPE, landmarker)
    preprocess(clips["s01_03"], RECIPE, landmarker)
    again = preprocess(clips["s02_02"], RECIPE, landmarker)
    for name in ("flow", "apex_flow", "roi_frames", "transforms", "curve", "landmarks"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))


def test_an_unknown_interval_is_the_whole_clip_with_an_estimated_apex(
    landmarker: Landmarker, clips: dict[str, Clip]
) -> None:
    known = clips["s06_02"]
    assert known.apex is not None
    clip = replace(known, onset=None, apex=None, offset=None)
    record = preprocess(clip, RECIPE, landmarker)
    assert record.onset_estimated
    assert record.apex_estimated
    assert record.offset_estimated
    assert (record.onset, record.offset) == (0, record.frame_count - 1)
    assert record.apex is not None
    assert abs(record.apex - known.apex) <= 10


def test_an_estimated_apex_is_near_the_annotated_one(
    landmarker: Landmarker, clips: dict[str, Clip]
) -> None:
    errors = []
    for name in ("s01_02", "s02_02", "s03_03", "s05_03", "s06_02", "s08_06"):
        clip = clips[name]
        record = preprocess(replace(clip, apex=None), RECIPE, landmarker)
        assert record.apex is not None
        assert clip.apex is not None
        errors.append(abs(record.apex - clip.apex))
    assert np.median(errors) <= 4


def test_an_apex_outside_or_at_the_onset_is_estimated_and_said(
    landmarker: Landmarker, clips: dict[str, Clip]
) -> None:
    clip = clips["s01_02"]
    assert clip.onset is not None
    outside = preprocess(replace(clip, apex=clip.onset - 5), RECIPE, landmarker)
    assert outside.apex_estimated
    assert "lies outside" in outside.issues[-1]
    equal = preprocess(replace(clip, apex=clip.onset), RECIPE, landmarker)
    assert "apex equals onset" in equal.issues[-1]


def test_an_offset_behind_the_end_is_cut_and_said(
    landmarker: Landmarker, clips: dict[str, Clip]
) -> None:
    record = preprocess(replace(clips["s01_02"], offset=500), RECIPE, landmarker)
    assert record.offset == 100
    assert "offset 500 lies behind the last frame 100" in record.issues[-1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"onset": 300, "apex": 310, "offset": 320}, r"names onset frame 300, but the clip ends"),
        ({"apex": 110, "offset": 115}, r"names apex frame 110, but the last frame is 100"),
        ({"offset": 20}, r"offset 20 is not after onset 38"),
        ({"onset": 100, "apex": None, "offset": None}, r"one frame only"),
        ({"frames": Path("/nowhere.mp4")}, r"/nowhere\.mp4: cannot be opened"),
    ],
)
def test_an_annotation_that_names_absent_frames_is_refused(
    landmarker: Landmarker, clips: dict[str, Clip], change: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        preprocess(replace(clips["s01_02"], **change), RECIPE, landmarker)


def test_a_clip_without_a_face_is_refused(tmp_path: Path, landmarker: Landmarker) -> None:
    gray = [np.full((120, 160), 90 + k, dtype=np.uint8) for k in range(3)]
    clip = Clip("t", "s", "n", write_images(tmp_path / "c", gray))
    with pytest.raises(InputError, match="clip t/s/n: no face found in onset frame 0"):
        preprocess(clip, RECIPE, landmarker)


def test_gray_images_are_taken_and_their_fps_stays_unknown(
    tmp_path: Path, landmarker: Landmarker, clips: dict[str, Clip]
) -> None:
    frames = [frame.image for frame in read_frames(clips["s01_02"].frames, 38, 56)]
    gray = [np.asarray(cv2.cvtColor(f, cv2.COLOR_RGB2GRAY), dtype=np.uint8) for f in frames]
    record = preprocess(Clip("t", "s", "n", write_images(tmp_path / "c", gray)), RECIPE, landmarker)
    colour = preprocess(replace(clips["s01_02"], offset=56), RECIPE, landmarker)
    assert record.fps is None
    assert np.corrcoef(record.flow[-1].ravel(), colour.flow[-1].ravel())[0, 1] > 0.9


@pytest.mark.parametrize("name", ["farneback", "tvl1"])
def test_other_flows_and_tim_agree_with_the_default(
    landmarker: Landmarker, clips: dict[str, Clip], name: str
) -> None:
    other = preprocess(clips["s01_02"], Recipe(steps=2, temporal="tim", flow=name), landmarker)
    record = preprocess(clips["s01_02"], Recipe(steps=2), landmarker)
    assert np.corrcoef(other.apex_flow.ravel(), record.apex_flow.ravel())[0, 1] > 0.6


def test_a_clip_too_long_for_memory_is_refused(
    landmarker: Landmarker, clips: dict[str, Clip], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mecli.footage._MAX_PIXEL_BYTES", 3_000_000)
    with pytest.raises(InputError, match=r"more than \d+ frames from onset to offset"):
        preprocess(clips["s01_02"], RECIPE, landmarker)


@pytest.mark.parametrize(("method", "least"), [("eulerian", 1.3), ("lagrangian", 1.8)])
def test_magnified_faces_move_further_the_same_way(
    landmarker: Landmarker, clips: dict[str, Clip], method: str, least: float
) -> None:
    plain = preprocess(clips["s01_02"], Recipe(steps=3), landmarker)
    large = preprocess(clips["s01_02"], Recipe(steps=3, magnify=f"{method}:3"), landmarker)
    assert np.array_equal(large.transforms, plain.transforms)
    assert not np.array_equal(large.roi_frames[1], plain.roi_frames[1])
    assert np.corrcoef(large.apex_flow.ravel(), plain.apex_flow.ravel())[0, 1] > 0.8
    size = [np.quantile(np.hypot(*r.apex_flow.reshape(-1, 2).T), 0.98) for r in (plain, large)]
    assert least < size[1] / size[0] < 4


def test_flow_images_cannot_be_magnified(landmarker: Landmarker, tmp_path: Path) -> None:
    images = write_images(tmp_path / "c", [np.zeros((28, 28, 3), dtype=np.uint8)])
    clip = Clip("casme2", "s", "n", images, holds_flow=True)
    with pytest.raises(InputError, match="holds flow, not faces, so that --magnify eulerian:5"):
        preprocess(clip, Recipe(magnify="eulerian:5"), landmarker)


def test_an_unknown_part_of_a_recipe_is_named() -> None:
    with pytest.raises(UnknownName, match="unknown magnification 'lagrange'; did you mean 'lagr"):
        Recipe(magnify="lagrange:5")
    with pytest.raises(UnknownName, match="unknown flow 'dsi'"):
        Recipe(flow="dsi")
    with pytest.raises(UnknownName, match="unknown head motion 'rigit'; did you mean 'rigid'"):
        Recipe(head_motion="rigit")
    with pytest.raises(UnknownName, match="unknown temporal normalisation"):
        Recipe(temporal="mit")
    with pytest.raises(UnknownName, match="unknown landmarker"):
        Recipe(landmarks="auto")


def test_a_clip_without_frames_says_each_reason_once() -> None:
    clip = Clip("c", "s", "n", (), issues=("apex unknown ('/')", "no frames on disk"))
    with pytest.raises(InputError, match=r"c/s/n: no frames on disk; apex unknown \('/'\)$"):
        preprocess(clip, Recipe(), choose("embedded"))
