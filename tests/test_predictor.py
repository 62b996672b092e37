from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mecli import Answer, Predictor
from mecli.corpora.sources import read_sources
from mecli.doubts import MOTION_PX
from mecli.errors import InputError
from mecli.filming import write_video
from mecli.judging import Judge
from mecli.predict import PredictOptions, predict
from mecli.train import TrainOptions, train
from mecli.video import frames_at, read_frames

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def checkpoint(sample_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("runs")
    options = TrainOptions(caches=(sample_cache,), protocol="all", runs=runs, epochs=2, jobs=0)
    final = train(options).final
    assert final
    return final


@pytest.fixture(scope="module")
def predictor(checkpoint: Path) -> Predictor:
    return Predictor(checkpoint)


def test_an_array_a_path_and_the_verb_are_of_one_mind(
    predictor: Predictor, checkpoint: Path, sample: Path
) -> None:
    path = sample / "clips" / "s01_02.mp4"
    frames = np.stack([frame.image for frame in read_frames(path)])
    by_array = predictor(frames, fps=100.0, name="mine")
    by_path = predictor(path)
    (by_verb,) = predict([str(path)], PredictOptions(checkpoint=checkpoint, jobs=0))
    assert isinstance(by_array, Answer)
    assert (by_array.clip, by_array.source) == ("array/unknown/mine", "(frames in memory)")
    assert by_array.scores == by_path.scores == by_verb.scores
    assert (by_array.apex, by_array.offset, by_array.fps) == (by_path.apex, 100, 100.0)
    assert tuple(by_array.scores) == predictor.classes == ("negative", "positive", "surprise")


def test_who_is_to_be_drawn_is_judged_alike(checkpoint: Path, sample: Path) -> None:
    (clip,) = read_sources([sample / "clips" / "s01_02.mp4"])
    ((thin, slim),) = Judge(checkpoint).judge(clip)
    ((full, record),) = Judge(checkpoint, drawn=True).judge(clip)
    assert thin == full
    assert slim is not None
    assert record is not None
    assert len(record.roi_frames) == len(record.flow) > len(slim.roi_frames)
    assert np.isfinite(record.flow).all()


def test_a_face_that_stands_still_is_doubted_not_believed(
    predictor: Predictor, sample: Path, tmp_path: Path
) -> None:
    chance = np.random.default_rng(0)
    (first,) = frames_at(sample / "clips" / "s01_07.mp4", [0]).values()
    # Five times below the limit: what noise does differs from processor to processor.
    noise = chance.normal(0, 0.75, (30, *first.shape))
    write_video(tmp_path / "still.mp4", np.clip(first + noise, 0, 255).astype(np.uint8), 100.0)
    for clip in (tmp_path / "still.mp4", np.stack([first] * 8)):
        answer = predictor(clip, fps=100.0)
        assert answer.quality["motion_px"] < MOTION_PX
        (doubt,) = (doubt for doubt in answer.unsure if doubt.reason == "no-motion")
        assert "noise does as much" in doubt.detail
    moving = predictor(sample / "clips" / "s01_02.mp4")
    assert moving.quality["motion_px"] > MOTION_PX
    assert "no-motion" not in {doubt.reason for doubt in moving.unsure}


def test_an_interval_of_an_array_is_kept(predictor: Predictor, sample: Path) -> None:
    path = sample / "clips" / "s01_02.mp4"
    frames = np.stack([frame.image for frame in read_frames(path)])
    answer = predictor(frames, fps=100.0, onset=28, apex=44, offset=59)
    assert (answer.onset, answer.apex, answer.offset, answer.found) == (28, 44, 59, ())
    unknown = predictor(frames[28:60])
    assert unknown.fps is None
    assert "unknown-frame-rate" in {doubt.reason for doubt in unknown.unsure}


def test_a_rate_that_is_given_stands_before_that_of_a_manifest(
    predictor: Predictor, sample: Path, tmp_path: Path
) -> None:
    manifest = tmp_path / "clips.csv"
    manifest.write_text(f"path,fps\n{sample / 'clips' / 's01_02.mp4'},50\n")
    assert [predictor(manifest, fps=fps).fps for fps in (None, 200.0)] == [50.0, 200.0]


def test_what_cannot_be_judged_raises_alone_and_is_told_among_others(
    predictor: Predictor, sample: Path, tmp_path: Path
) -> None:
    empty = np.zeros((5, 64, 64, 3), np.uint8)
    with pytest.raises(InputError, match="no face found in onset frame 0"):
        predictor(empty, fps=100.0)
    (failed,) = predictor.answers(empty, fps=100.0)
    assert "no face found" in failed.error
    (tmp_path / "a.mp4").write_bytes((sample / "clips" / "s01_02.mp4").read_bytes())
    (tmp_path / "b.mp4").write_bytes(b"no video")
    assert [bool(a.error) for a in predictor.answers(tmp_path)] == [False, True]
    with pytest.raises(InputError, match=r"2 answers, expected one; call answers\(\)"):
        predictor(tmp_path)
    with pytest.raises(InputError, match="onset, apex and offset go with an array"):
        predictor(tmp_path / "a.mp4", onset=3)
    assert Predictor(runs=tmp_path).classes[-1] == "none"


def test_importing_the_package_loads_nothing_heavy_until_the_predictor_is_asked_for() -> None:
    code = (
        "import sys, mecli; assert not {'torch', 'cv2', 'numpy'} & set(sys.modules)\n"
        "from mecli import Predictor; assert 'torch' in sys.modules\n"
        "try: mecli.Oracle\n"
        "except AttributeError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "module 'mecli' has no attribute 'Oracle'\n"


def test_loading_a_checkpoint_imports_no_compiler(checkpoint: Path) -> None:
    code = (
        "import sys; from mecli import Predictor; Predictor(sys.argv[1])\n"
        "assert 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(checkpoint)], check=True)
