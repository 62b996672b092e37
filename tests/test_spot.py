from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from mecli import cli
from mecli.clips import Clip, Held
from mecli.doubts import Doubt
from mecli.errors import InputError, UsageError
from mecli.filming import write_video
from mecli.landmarks.choose import choose
from mecli.motion import REGIONS, measure
from mecli.report.elan import Span
from mecli.report.spot_film import spot_film
from mecli.report.spots import Spotted, spots_csv, spots_text, spots_tiers
from mecli.report.timeline import PANEL_PX, SIDE_PX, Track
from mecli.spot import SpotOptions, spot
from mecli.spotting import Interval
from mecli.video import frames_at, probe, read_frames

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

OPTIONS = SpotOptions(landmarks="embedded", jobs=0)


@pytest.fixture(scope="module")
def still(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One second of one picture: nothing moves."""
    path = tmp_path_factory.mktemp("still") / "still.mp4"
    first = next(read_frames(sample / "clips" / "long01.mp4"))
    write_video(path, [first.image] * 30, 30.0)
    return path


def held(images: NDArray[np.uint8]) -> Clip:
    return Clip("made", "s01", "held", (), held=Held(images))


def test_a_long_video_is_spotted_in_and_scored_by_two_commands(
    sample: Path, tmp_path: Path
) -> None:
    rows = (sample / "annotation.csv").read_text().splitlines()
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "long01.mp4").symlink_to(sample / "clips" / "long01.mp4")
    kept = [rows[0], *(row for row in rows if "long01" in row)]
    (tmp_path / "annotation.csv").write_text("\n".join(kept) + "\n")
    chosen = ["spot", str(tmp_path), "--landmarks", "embedded", "-j", "0", "--json"]
    spotted = CliRunner().invoke(cli.app, chosen)
    assert spotted.exit_code == 0, spotted.stderr
    lines = [json.loads(line) for line in spotted.stdout.splitlines()]
    assert {(line["clip"], line["fps"]) for line in lines} == {("synth/s09/long01", 50.0)}
    asked = ["evaluate", "--spotting", "-", "--truth", str(tmp_path), "--json"]
    scored = CliRunner().invoke(cli.app, asked, input=spotted.stdout)
    said = json.loads(scored.stdout)
    assert (said["recordings"], round(said["minutes"] * 60, 1)) == (1, 10.0)
    assert said["spotting"]["micro"]["true"] == 3
    assert said["spotting"]["overall"]["f1"] >= 0.8


def test_every_video_is_answered_in_its_order_whatever_is_wrong_with_one(
    still: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    chosen = ["spot", "-", "--landmarks", "embedded", "-j", "0"]
    listed = f"{broken}\n{still}\n/nowhere.mp4\n"
    noted = ["--json", "--eaf", str(tmp_path / "eaf")]
    result = CliRunner().invoke(cli.app, [*chosen, *noted], input=listed)
    assert result.exit_code == 3
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["source"] for line in lines] == [str(broken), "/nowhere.mp4"]
    assert "cannot be opened as video" in lines[0]["error"]
    assert "2 failures; the other clips went on" in result.stderr
    assert len(list((tmp_path / "eaf").iterdir())) == 1
    table = CliRunner().invoke(cli.app, [*chosen, "--csv", "-"], input=listed)
    rows = list(csv.DictReader(io.StringIO(table.stdout)))
    assert [row["source"] for row in rows] == [str(broken), "/nowhere.mp4"]
    assert all(row["error"] for row in rows)


def test_a_video_nobody_moves_in_gives_no_interval(still: Path, tmp_path: Path) -> None:
    out = tmp_path / "spots.csv"
    chosen = ["spot", str(still), "--landmarks", "embedded", "-j", "0", "--csv", str(out)]
    result = CliRunner().invoke(cli.app, chosen)
    assert result.exit_code == 0, result.stderr
    said = result.stdout.splitlines()
    assert said[0] == "0 intervals in 1 video, 0.0 min; frames count from 0"
    # At 30 frames a second a short movement may be missed.
    assert [line.split(": ")[1] for line in said[1:]] == ["low-frame-rate"]
    assert out.read_text().count("\n") == 1
    again = CliRunner().invoke(cli.app, chosen)
    assert again.exit_code == 3
    assert "exists; name another file" in again.stderr
    both = CliRunner().invoke(cli.app, [*chosen[:-1], "-", "--json"])
    assert both.exit_code == 2


def test_a_film_shows_the_face_and_its_intervals(sample: Path, tmp_path: Path) -> None:
    video = sample / "clips" / "long01.mp4"
    out = tmp_path / "film.mp4"
    chosen = ["spot", str(video), "--landmarks", "embedded", "-j", "0", "--overlay", str(out)]
    done = CliRunner().invoke(cli.app, [*chosen, "--json"])
    assert done.exit_code == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    info = probe(out)
    # Ten seconds and less are shown in slow motion.
    assert (info.width, info.frame_count, info.fps) == (640, 500, 25)
    apex = int(found[0]["apex"])
    shown = frames_at(out, [0, apex])
    (plain,) = frames_at(video, [apex]).values()
    height = info.height - PANEL_PX
    large = cv2.resize(plain, (640, height), interpolation=cv2.INTER_LINEAR)
    changed = np.abs(shown[apex][:height].astype(int) - large).max(axis=2) > 80
    rows, columns = np.nonzero(changed)
    # A frame around the face, and not much else.
    assert 200 < np.ptp(rows) < height
    assert 200 < np.ptp(columns) < 640
    assert changed.mean() < 0.05
    # What is on is written beside the timeline, and nothing where nothing is on.
    side = (slice(height, None), slice(640 - SIDE_PX, None))
    assert shown[apex][side].max() > 150 > shown[0][side].max()
    again = CliRunner().invoke(cli.app, chosen)
    assert again.exit_code == 3
    assert "film.mp4: exists; name another file" in again.stderr
    several = CliRunner().invoke(cli.app, [*chosen, str(sample / "clips" / "s01_02.mp4")])
    assert several.exit_code == 2
    assert "--overlay is" in several.stderr


def test_a_face_that_goes_away_has_no_outline(sample: Path) -> None:
    images = [f.image for f in read_frames(sample / "clips" / "long01.mp4", 0, 240)]
    gone = np.stack(images)
    gone[120:] = 90
    motion = measure(held(gone), 50.0, choose("embedded"))
    assert np.isfinite(motion.outline).all(axis=(1, 2)).tolist() == motion.seen.tolist()
    assert motion.seen[0]
    assert not motion.seen[-1]
    left, right = motion.outline[0, 0, 0], motion.outline[0, 1, 0]
    assert left < motion.centre[0, 0] < right


def test_every_second_frame_of_a_fast_video_is_looked_at(sample: Path) -> None:
    images = [f.image for f in read_frames(sample / "clips" / "long01.mp4", 0, 120)]
    clip = held(np.stack(images))
    all_frames = measure(clip, 50.0, choose("embedded"))
    half = measure(clip, 60.0, choose("embedded"))
    assert (all_frames.step, half.step) == (1, 2)
    assert (all_frames.displacement.shape, half.displacement.shape) == (
        (121, len(REGIONS), 2),
        (61, len(REGIONS), 2),
    )
    assert all_frames.frame_count == half.frame_count == 121
    whole = all_frames.displacement[::2]
    assert np.median(np.abs(half.displacement - whole)) < 0.05
    assert np.corrcoef(half.displacement.ravel(), whole.ravel())[0, 1] > 0.98


def test_a_face_that_leaves_moves_nothing_while_it_is_away(sample: Path) -> None:
    images = [f.image for f in read_frames(sample / "clips" / "long01.mp4", 0, 9)]
    clip = held(np.stack([*images, *[np.zeros_like(images[0])] * 20]))
    motion = measure(clip, 4.0, choose("embedded"))
    assert motion.seen.tolist() == [True] * 10 + [False] * 20
    assert np.ptp(motion.displacement[10:], axis=0).max() == 0


def test_what_cannot_be_searched_says_why(sample: Path, still: Path) -> None:
    image = next(read_frames(still)).image
    with pytest.raises(InputError, match=r"1 frame\(s\) only, too few to be searched"):
        measure(held(image[None]), 30.0, choose("embedded"))
    with pytest.raises(InputError, match="no face found"):
        measure(held(np.zeros((8, 120, 160, 3), np.uint8)), 30.0, choose("embedded"))
    with pytest.raises(UsageError, match="--threshold is 0"):
        SpotOptions(threshold=0)
    with pytest.raises(UsageError, match="--fps is -1"):
        SpotOptions(fps=-1)
    with pytest.raises(UsageError, match=r"--fps is 1e\+09, expected above 0 to 100000"):
        SpotOptions(fps=1e9)
    with pytest.raises(UsageError, match="--face is 0"):
        SpotOptions(face=0)
    (slow,) = spot([str(still)], SpotOptions(fps=10.0, jobs=0))
    assert "10 frames/s cannot show" in slow.error
    with pytest.raises(InputError, match="nowhere"):
        list(spot(["/nowhere.mp4"], OPTIONS))
    assert spots_text([slow]) == "no video could be searched\n"


def found_in(clip: str, fps: float, *intervals: Interval, **more: Any) -> Spotted:
    return Spotted(
        clip, f"{clip}.mp4", fps=fps, frames=100, intervals=intervals, regions=("chin",), **more
    )


def test_tables_tiers_and_lines_tell_of_the_same_intervals() -> None:
    doubt = Doubt("small-face", "80 px")
    micro, macro = Interval(10, 14, 19, "micro", 4.5, 0), Interval(30, 50, 79, "macro", 9.0, 0)
    video = found_in("a/b/c", 50.0, micro, macro, unsure=(doubt,))
    assert [(line["kind"], line["onset_s"], line["unsure"]) for line in video.as_json()] == [
        ("micro", 0.2, ["small-face"]),
        ("macro", 0.6, ["small-face"]),
    ]
    assert spots_tiers(video) == {
        "micro-expression": [Span(0.2, 0.4, "chin 4.50")],
        "apex": [Span(0.28, 0.3, "apex"), Span(1.0, 1.02, "apex")],
        "macro-expression": [Span(0.6, 1.6, "chin 9.00")],
    }
    assert "a/b/c: small-face: 80 px" in spots_text([video])
    rows = list(csv.DictReader(io.StringIO(spots_csv([video]))))
    assert [row["unsure"] for row in rows] == ["small-face"] * 2


def test_a_film_tells_kinds_apart_and_frames_no_face_that_is_not_there() -> None:
    micro, macro = Interval(0, 1, 2, "micro", 0.9, 0), Interval(4, 5, 6, "macro", 0.9, 0)
    video = replace(found_in("a", 50.0, micro, macro), frames=8)
    faces = np.full((4, 4, 2), np.nan, np.float32)
    faces[:3] = [[100, 50], [300, 50], [300, 250], [100, 250]]
    track = Track(0, 2, np.arange(4, dtype=np.float32))
    gray = np.full((300, 640, 3), 90, np.uint8)
    shown = list(spot_film(((k, gray) for k in range(8)), video, track, faces))
    assert {image.shape for image in shown} == {(300 + PANEL_PX, 640, 3)}
    on_edge = [tuple(image[50, 200].tolist()) for image in shown]
    assert len({on_edge[k] for k in (1, 3, 5)}) == 3
    assert all(on_edge[k] != (90, 90, 90) for k in range(6))
    assert on_edge[6] == on_edge[7] == (90, 90, 90)


def test_an_elan_document_is_not_replaced_unasked(still: Path, tmp_path: Path) -> None:
    again = tmp_path / "again" / still.parent.name / still.name
    again.parent.mkdir(parents=True)
    again.write_bytes(still.read_bytes())
    options = replace(OPTIONS, eaf=tmp_path / "eaf")
    list(spot([str(still), str(again)], options))
    names = sorted(path.name for path in (tmp_path / "eaf").iterdir())
    assert names[0].endswith("-still-1.eaf")
    assert names[1].endswith("-still.eaf")
    with pytest.raises(InputError, match="exists; name another file, or replace it with --force"):
        spot([str(still)], options)


def test_progress_within_a_video_is_told_while_workers_search_it(sample: Path) -> None:
    told: list[tuple[float, int, str, Mapping[str, float]]] = []
    video = str(sample / "clips" / "long01.mp4")
    options = replace(OPTIONS, jobs=1)
    (searched,) = spot([video], options, progress=lambda *said: told.append(said))
    assert not searched.error
    assert all((total, latest) == (1, searched.clip) for _, total, latest, _ in told)
    *before, (done, _, _, running) = told
    assert (done, running) == (1, {})
    assert any(0 < done < 1 and running == {searched.clip: done} for done, _, _, running in before)
