from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mecli import flow as flows
from mecli import registry
from mecli.errors import InputError, UnknownName

if TYPE_CHECKING:
    from collections.abc import Callable

Image = NDArray[np.uint8]
Field = NDArray[np.float64]
HEIGHT, WIDTH = 140, 120


def texture(seed: int = 3) -> NDArray[np.float32]:
    noise = np.random.default_rng(seed).normal(size=(HEIGHT + 80, WIDTH + 80))
    soft = cv2.GaussianBlur(noise, (0, 0), 2.0) * 4 + cv2.GaussianBlur(noise, (0, 0), 6.0) * 8
    return np.asarray(128 + 30 * soft, dtype=np.float32)


def moved_pair(move: Callable[[Field, Field], tuple[Field, Field]]) -> tuple[Image, Image, Field]:
    """A texture, the texture after its points moved by `move`, and the true flow."""
    image = texture()
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    truth = np.stack(move(x, y), axis=-1)
    # The moved frame shows at q what stood at p with p + move(p) = q: a fixed point.
    px, py = x.copy(), y.copy()
    for _ in range(30):
        dx, dy = move(px, py)
        px, py = x - dx, y - dy
    frames = [
        cv2.remap(image, (a + 40).astype(np.float32), (b + 40).astype(np.float32), cv2.INTER_CUBIC)
        for a, b in ((x, y), (px, py))
    ]
    first, second = (np.clip(np.rint(f), 0, 255).astype(np.uint8) for f in frames)
    return first, second, truth


def bump(x: Field, y: Field, size_px: float = 1.5) -> Field:
    return np.asarray(size_px * np.exp(-((x - 80) ** 2 + (y - 95) ** 2) / (2 * 9.0**2)))


def affine(x: Field, y: Field) -> tuple[Field, Field]:
    return 0.8 + 0.01 * (x - 60) - 0.006 * (y - 70), -0.5 + 0.006 * (x - 60) + 0.01 * (y - 70)


@pytest.mark.parametrize("name", sorted(registry.FLOWS))
@pytest.mark.parametrize("shift", [(0.3, 0.0), (0.0, -1.4), (2.5, 1.2)])
def test_every_method_finds_a_known_shift(name: str, shift: tuple[float, float]) -> None:
    first, second, truth = moved_pair(lambda x, y: (0 * x + shift[0], 0 * y + shift[1]))
    found = flows.dense_flow(first, second, name)
    assert found.dtype == np.float32
    assert found.shape == (HEIGHT, WIDTH, 2)
    inner = (found - truth)[16:-16, 16:-16]
    assert np.sqrt((inner**2).sum(axis=-1)).mean() < 0.12
    np.testing.assert_allclose(np.median(found, axis=(0, 1)), shift, atol=0.06)


@pytest.mark.parametrize("name", sorted(registry.FLOWS))
def test_every_method_is_deterministic_and_still_on_equal_frames(name: str) -> None:
    first, second, _ = moved_pair(lambda x, y: (bump(x, y), 0 * y))
    np.testing.assert_array_equal(
        flows.dense_flow(first, second, name), flows.dense_flow(first, second, name)
    )
    still = np.abs(flows.dense_flow(first, first, name))
    # Farnebäck's polynomials are ill-conditioned in a few flat places.
    assert np.quantile(still, 0.95) < 0.01


def test_dis_recovers_a_local_movement_within_a_fifth() -> None:
    first, second, truth = moved_pair(lambda x, y: (0 * x, bump(x, y)))
    found = flows.dis(first, second)
    assert np.sqrt(((found - truth) ** 2).sum(axis=-1)).mean() < 0.06
    around = (slice(90, 101), slice(75, 86), 1)
    assert found[around].mean() == pytest.approx(truth[around].mean(), rel=1 / 5)


def test_local_movement_survives_the_removal_of_head_motion() -> None:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    local = np.stack([0 * x, bump(x, y)], axis=-1)
    whole = np.stack(affine(x, y), axis=-1) + local
    left = flows.remove_head_motion(whole.astype(np.float32))
    np.testing.assert_allclose(left, local, atol=0.02)


def test_head_motion_costs_a_measured_local_movement_a_twentieth_at_most() -> None:
    def both(x: Field, y: Field) -> tuple[Field, Field]:
        dx, dy = affine(x, y)
        return dx, dy + bump(x, y)

    first, second, _ = moved_pair(both)
    left = flows.remove_head_motion(flows.dis(first, second))
    still = flows.dis(*moved_pair(lambda x, y: (0 * x, bump(x, y)))[:2])
    around = (slice(90, 101), slice(75, 86), 1)
    assert left[around].mean() == pytest.approx(still[around].mean(), rel=0.05)
    far = left[20:60, 16:60]
    assert np.abs(far.mean(axis=(0, 1))).max() < 0.06


def test_a_movement_of_a_third_of_the_face_is_kept_whole() -> None:
    y, x = np.mgrid[0:70, 0:60].astype(np.float64)
    whole = np.stack(affine(x, y), axis=-1)
    noise = np.random.default_rng(5).normal(0, 0.03, whole.shape)
    local = np.where(y[..., None] > 46, [0.2, 1.5], 0.0)
    left = flows.remove_head_motion((whole + local + noise).astype(np.float32))
    assert left[50:, :, 1].mean() == pytest.approx(1.5, rel=0.05)
    assert abs(left[:40, :, 1].mean()) < 0.03


@given(st.lists(st.floats(-3, 3), min_size=8, max_size=8))
def test_the_field_of_a_rigid_head_is_removed(coefficients: list[float]) -> None:
    y, x = np.mgrid[-1:1:14j, -1:1:12j]
    a, b, c, d, e, f, yaw, pitch = coefficients
    dx = a + b * x + c * y + yaw * x * x + pitch * x * y
    dy = d + e * x + f * y + yaw * x * y + pitch * y * y
    field = np.stack([dx, dy], axis=-1).astype(np.float32)
    assert np.abs(flows.remove_head_motion(field)).max() < 1e-3


def test_head_motion_is_removed_from_every_map_on_its_own() -> None:
    maps = np.zeros((3, 2, 14, 12, 2), dtype=np.float32)
    maps[1, 1, ..., 0] = 2
    maps[2, 0, ..., 1] = -1
    left = flows.remove_head_motion(maps)
    assert left.shape == maps.shape
    assert left.dtype == np.float32
    assert np.abs(left).max() < 1e-6


def test_strain_of_a_linear_field_is_its_symmetric_gradient() -> None:
    y, x = np.mgrid[0:20, 0:30].astype(np.float64)
    exx, exy, eyy, turn = 0.02, -0.01, 0.03, 0.2
    field = np.stack([exx * x + (exy - turn) * y, (exy + turn) * x + eyy * y], axis=-1)
    wanted = np.sqrt(exx**2 + eyy**2 + 2 * exy**2)
    for stack in (field, np.stack([field, field])):
        found = flows.strain(stack.astype(np.float32))
        assert found.shape == stack.shape[:-1]
        np.testing.assert_allclose(found, wanted, rtol=1e-4)
    np.testing.assert_allclose(flows.strain(field.astype(np.float32), 4.0), wanted / 4, rtol=1e-4)


def test_reduction_averages_over_area() -> None:
    maps = np.random.default_rng(1).normal(size=(4, 140, 120, 2)).astype(np.float32)
    small = flows.reduce(maps)
    assert small.shape == (4, 70, 60, 2)
    wanted = maps.reshape(4, 70, 2, 60, 2, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(small, wanted, atol=1e-6)
    assert flows.reduce(maps[0], (70, 60)).shape == (70, 60, 2)


def test_a_grid_finer_than_the_flow_is_refused() -> None:
    with pytest.raises(InputError, match="grid of 70×60 cells asked of a 28×28 flow"):
        flows.reduce(np.zeros((28, 28, 2), dtype=np.float32))


def test_frames_must_be_two_gray_images_of_one_size() -> None:
    gray = np.zeros((40, 40), dtype=np.uint8)
    others: list[NDArray[Any]] = [gray[:30], gray.astype(np.float32), np.dstack([gray] * 3)]
    for other in others:
        for first, second in ((gray, other), (other, gray)):
            with pytest.raises(InputError, match="two uint8 images"):
                flows.dense_flow(first, second)
    with pytest.raises(InputError, match="16 px or more"):
        flows.dis(gray[:8], gray[:8])


def test_an_unknown_method_is_named() -> None:
    gray = np.zeros((40, 40), dtype=np.uint8)
    with pytest.raises(UnknownName, match="did you mean 'farneback'"):
        flows.dense_flow(gray, gray, "farnebeck")


def test_a_map_that_is_no_flow_is_refused() -> None:
    for bad in (np.zeros((4, 4, 3)), np.zeros((4, 2)), np.zeros((1, 4, 2))):
        with pytest.raises(InputError, match=r"expected \(…, H, W, 2\)"):
            flows.strain(bad.astype(np.float32))
