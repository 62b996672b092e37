"""Movements of known size, drawn larger and measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mecli import registry
from mecli.errors import InputError, UnknownName, UsageError
from mecli.flow import dense_flow
from mecli.magnification import Magnification, magnify, parse
from mecli.rois import FACE_SIZE

if TYPE_CHECKING:
    from collections.abc import Sequence

Image = NDArray[np.uint8]
METHODS = sorted(registry.MAGNIFICATIONS)
HEIGHT, WIDTH = FACE_SIZE
MARGIN = 20


def texture(blurs_px: Sequence[float] = (4.0, 12.0)) -> NDArray[np.float64]:
    shape = (HEIGHT + 2 * MARGIN, WIDTH + 2 * MARGIN)
    noise = np.random.default_rng(3).normal(size=shape)
    soft = np.sum([cv2.GaussianBlur(noise, (0, 0), b) * b for b in blurs_px], axis=0)
    return np.asarray(128 + 35 * soft / soft.std())


def colour(gray: NDArray[Any]) -> Image:
    return np.repeat(np.clip(np.rint(gray), 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def bump(size_px: float) -> NDArray[np.float32]:
    """A downward movement of a cheek, (H, W)."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    size = size_px * np.exp(-((x - 150) ** 2 + (y - 180) ** 2) / (2 * 18.0**2))
    return np.asarray(size, dtype=np.float32)


def moved_pair(size_px: float, blurs_px: Sequence[float] = (4.0, 12.0)) -> tuple[Image, Image]:
    """Return a texture, and the texture after its points moved by `bump`."""
    image = texture(blurs_px)
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    shown = y
    for _ in range(30):
        shown = y - cv2.remap(bump(size_px), x, shown, cv2.INTER_LINEAR)
    frames = [cv2.remap(image, x + MARGIN, r + MARGIN, cv2.INTER_CUBIC) for r in (y, shown)]
    return colour(np.asarray(frames[0])), colour(np.asarray(frames[1]))


def middle(reference: Image, frame: Image) -> NDArray[np.float64]:
    """Return the mean flow where the movement is within a tenth of its largest."""
    flow = dense_flow(reference[..., 0], frame[..., 0])
    return np.asarray(flow[bump(1.0) > 0.9].mean(axis=0), dtype=np.float64)


@pytest.mark.parametrize("method", METHODS)
def test_a_third_of_a_pixel_becomes_five_times_as_much(method: str) -> None:
    reference, frame = moved_pair(0.3)
    truth = bump(0.3)[bump(1.0) > 0.9].mean()
    assert middle(reference, frame)[1] == pytest.approx(truth, rel=0.15)
    right, down = middle(reference, magnify(f"{method}:5", reference, frame))
    assert down == pytest.approx(5 * truth, rel=0.2)
    assert abs(right) < 0.15


@pytest.mark.parametrize("method", METHODS)
def test_what_does_not_move_stays_where_it_is(method: str) -> None:
    reference, frame = moved_pair(0.3)
    assert np.array_equal(magnify(f"{method}:10", frame, frame), frame)
    large = magnify(f"{method}:5", reference, frame)
    far = bump(1.0) < 1e-3
    assert np.abs(dense_flow(reference[..., 0], large[..., 0])[far]).mean() < 0.03


@pytest.mark.parametrize(("method", "most"), [("eulerian", 2.7), ("lagrangian", 1.1)])
def test_noise_of_the_pixels_grows_less_than_movements(method: str, most: float) -> None:
    still = texture()[:HEIGHT, :WIDTH]
    first, second = np.random.default_rng(0).normal(0, 2, (2, HEIGHT, WIDTH))
    reference, frame = colour(still + first), colour(still + second)
    large = magnify(f"{method}:5", reference, frame)
    noise = [float((f[..., 0] - still)[20:-20, 20:-20].std()) for f in (frame, large)]
    assert noise[1] / noise[0] < most


def test_eulerian_spares_detail_that_it_would_tear() -> None:
    coarse, fine = (moved_pair(0.3, blurs) for blurs in ((8.0,), (2.0, 6.0)))
    reached = [middle(pair[0], magnify("eulerian:5", *pair))[1] for pair in (coarse, fine)]
    assert reached[0] > 1.3
    assert 0.7 < reached[1] < reached[0]


def test_lagrangian_leaves_the_movement_of_the_whole_head_as_it_is() -> None:
    image = texture()
    reference, frame = (colour(image[s : s + HEIGHT, 20 : 20 + WIDTH]) for s in (20, 19))
    large = magnify("lagrangian:5", reference, frame)
    flow = dense_flow(reference[..., 0], large[..., 0])[40:-40, 40:-40]
    assert np.abs(np.median(flow, axis=(0, 1)) - [0, 1]).max() < 0.1


@pytest.mark.parametrize("method", METHODS)
def test_colours_of_a_still_face_are_kept(method: str) -> None:
    tinted = np.stack([texture()[:HEIGHT, :WIDTH] * k for k in (0.9, 0.6, 0.5)], axis=-1)
    image = tinted.astype(np.uint8)
    assert np.array_equal(magnify(f"{method}:4", image, image), image)


def test_none_returns_the_frame_itself() -> None:
    reference, frame = moved_pair(0.3)
    assert magnify("none", reference, frame) is frame


def test_a_method_and_its_strength_are_read_from_one_word() -> None:
    assert parse("none") is None
    assert parse("eulerian:2.5") == Magnification("eulerian", 2.5)


@pytest.mark.parametrize(
    "text", ["eulerian", "eulerian:", "eulerian:x", "eulerian:1", "eulerian:99", "lagrangian:nan"]
)
def test_a_strength_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=f"magnification is '{text}', expected none or METHOD"):
        parse(text)


def test_an_unknown_method_is_named() -> None:
    with pytest.raises(UnknownName, match="unknown magnification 'euler'; did you mean 'eulerian'"):
        parse("euler:5")


@pytest.mark.parametrize("method", METHODS)
def test_images_that_do_not_fit_are_refused(method: str) -> None:
    image = np.zeros((64, 64, 3), dtype=np.uint8)
    others: list[Any] = [image[..., 0], image[:32], image.astype(np.float32)]
    for other in others:
        with pytest.raises(InputError, match=r"expected two uint8 images \(H, W, 3\) of one size"):
            magnify(f"{method}:5", image, other)
    with pytest.raises(InputError, match="32 px or more"):
        magnify(f"{method}:5", image[:16], image[:16])
