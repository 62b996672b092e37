from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from mecli.bundle.curves import Lived, made_video, plan_video
from mecli.bundle.disturbed import disturbed, jittered, mirrored, shapes, with_expressions
from mecli.bundle.spotter import SpotterOptions, build, rendered_video, train
from mecli.motion import REGIONS
from mecli.spotter import load_spotter

if TYPE_CHECKING:
    from pathlib import Path

NAMES = list(REGIONS)


@pytest.fixture(scope="module")
def video() -> Lived:
    return made_video(500_003)


def test_curves_of_a_made_video_move_when_it_says_so(video: Lived) -> None:
    assert video.values.shape == (600, 2 * len(REGIONS) + 6)
    assert video.events
    assert made_video(500_003).values.tobytes() == video.values.tobytes()
    regions = video.values[:, :-6].reshape(600, -1, 2)
    skin = [k for k, name in enumerate(NAMES) if "eye" not in name]
    for onset, offset, kind in video.events:
        middle, reach = round((onset + offset) / 2), int(offset - onset) // 2
        moved = regions[middle] - (regions[middle - reach] + regions[middle + reach]) / 2
        assert np.hypot(*moved[skin].T).max() > 0.3
        assert (kind == "micro") == (offset - onset <= 15)


def test_macro_expressions_take_the_place_of_pastimes_only_where_asked_for() -> None:
    plain = plan_video(8104, "events", 30.0, (64, 64))
    macro = plan_video(8104, "macro", 30.0, (64, 64))
    quiet = plan_video(8104, "quiet", 30.0, (64, 64))
    assert quiet.times == ()
    assert macro.times[: len(plain.times)] == plain.times
    more = macro.times[len(plain.times) :]
    assert len(more) == len(plain.between) - len(macro.between) > 0
    assert all(offset - onset >= 0.8 * 30 - 1 for onset, _, offset in more)


def test_expressions_are_added_where_nothing_else_goes_on(video: Lived) -> None:
    more = with_expressions(video, shapes(2), 0.5, np.random.default_rng(1))
    added = more.events[len(video.events) :]
    assert added
    assert np.array_equal(more.values[:, -6:], video.values[:, -6:])
    for onset, offset, _ in added:
        changed = np.abs(more.values - video.values)[int(onset) : int(offset) + 1]
        assert changed.max() > 0.05
        for first, last in [*video.busy, *(e[:2] for e in video.events)]:
            assert offset < first or onset > last


def test_noise_grows_with_the_time_between_two_moments() -> None:
    still = np.zeros((600, 2 * len(REGIONS) + 6), np.float32)
    noisy = disturbed(still, np.random.default_rng(2))[:, :-6]
    near, far = (np.abs(noisy[lag:] - noisy[:-lag]).mean() for lag in (1, 10))
    assert 1.3 * near < far
    assert np.abs(jittered(still, np.random.default_rng(3))[:, -6:]).max() == 0


def test_a_mirrored_mirror_image_is_the_video_itself(video: Lived) -> None:
    once = mirrored(video.values)
    assert np.array_equal(mirrored(once), video.values)
    left, right = NAMES.index("left_mouth_corner"), NAMES.index("right_mouth_corner")
    assert np.array_equal(once[:, 2 * left], -video.values[:, 2 * right])
    assert np.array_equal(once[:, 2 * left + 1], video.values[:, 2 * right + 1])


def test_shapes_are_those_of_faces() -> None:
    patterns = shapes(3)
    assert patterns.shape == (60, len(REGIONS), 2)
    surprise = patterns.reshape(3, 20, -1, 2)[:, 2::3].reshape(18, -1, 2)
    brows = [k for k, name in enumerate(NAMES) if "brow" in name]
    assert np.median(surprise[:, brows, 1].min(axis=1)) < -0.5


def test_what_is_written_says_what_the_network_says(video: Lived, tmp_path: Path) -> None:
    out = tmp_path / "spotter.safetensors"
    options = SpotterOptions(made=2, rendered=0, shapes=2, steps=3, networks=2, jobs=0)
    build(tmp_path, out, options)
    spotter = load_spotter(out)
    assert [len(layers) for layers in spotter.networks] == [5, 5]
    curves = np.random.default_rng(0).normal(0, 1, (40, 32)).astype(np.float32)
    said = []
    for layers in spotter.networks:
        values = torch.from_numpy(curves.T[None])
        for depth, (weights, bias) in enumerate(layers):
            apart = 2**depth if depth < 4 else 1
            values = torch.nn.functional.conv1d(
                values,
                torch.from_numpy(weights),
                torch.from_numpy(bias),
                dilation=apart,
                padding=apart * (weights.shape[2] // 2),
            )
            values = values.relu() if depth < 4 else values
        said.append(values.softmax(1)[0].T.numpy())
    assert np.allclose(spotter.likelihood(curves), np.mean(said, axis=0), atol=1e-5)


def test_curves_that_were_measured_before_are_taken_as_they_are(tmp_path: Path) -> None:
    # Video 5 is of 60 frames a second, every second of which is looked at.
    values = np.random.default_rng(0).normal(0, 1, (600, 32)).astype(np.float32)
    np.save(tmp_path / "events8106.npy", values)
    video = rendered_video(tmp_path, 5)
    assert np.array_equal(video.values, values)
    assert 3 <= len(video.events) <= 5


def test_the_same_seed_gives_the_same_weights(video: Lived) -> None:
    one, two = (train([video], [video], shapes(2), 2, seed=4) for _ in range(2))
    assert all(
        np.array_equal(a, b)
        for x, y in zip(one, two, strict=True)
        for a, b in zip(x, y, strict=True)
    )
