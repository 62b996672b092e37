"""The same seed and options give the same run, whoever computes it and with how many threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from mecli.train import TrainOptions, TrainResult, train
from mecli.training import folder
from tests.moving_records import records, write_cache

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

# What the README promises of scores that other engines or numbers of threads compute.
FLOAT32, FLOAT64 = 1e-3, 1e-9


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cache(tmp_path_factory.mktemp("c") / "c.h5", records(4, 3))


@pytest.fixture
def four_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def run(cache: Path, path: Path, **changes: Any) -> TrainResult:
    settings = {"steps": 2, "dense": 16}
    options = TrainOptions(
        caches=(cache,), runs=path, model_options=settings, epochs=3, final=False, **changes
    )
    return train(options)


def digests(result: TrainResult) -> list[str]:
    found = [folder.read_fold(result.run, 0, number) for number in range(4)]
    return [fold.weights_sha256 for fold in found if fold]


def scores(result: TrainResult) -> NDArray[np.float64]:
    found = [folder.read_fold(result.run, 0, number) for number in range(4)]
    return np.array([fold.scores[clip] for fold in found if fold for clip in sorted(fold.scores)])


def test_a_run_comes_out_the_same_twice_here_and_in_workers(cache: Path, tmp_path: Path) -> None:
    engines: list[dict[str, Any]] = [
        {"engine": "sequential"}, {"engine": "pool", "jobs": 0}, {"engine": "pool", "jobs": 2},
    ]  # fmt: skip
    each = [run(cache, tmp_path / str(n), **engine) for n, engine in enumerate(engines)]
    assert len(digests(each[0])) == 4
    assert len({tuple(digests(result)) for result in each}) == 1
    assert len({r.run.joinpath("predictions.csv").read_bytes() for r in each}) == 1


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", FLOAT32), ("float64", FLOAT64)])
@pytest.mark.usefixtures("four_threads")
def test_engines_and_numbers_of_threads_agree_within_the_tolerance(
    cache: Path, tmp_path: Path, precision: str, tolerance: float
) -> None:
    stacked = run(cache, tmp_path, engine="stacked", precision=precision)
    assert torch.get_num_threads() == 4
    alone = run(cache, tmp_path, engine="sequential", precision=precision)
    assert torch.get_num_threads() == 1
    assert scores(alone).shape == (12, 3)
    assert np.abs(scores(alone) - scores(stacked)).max() < tolerance
    assert alone.uf1 == stacked.uf1
