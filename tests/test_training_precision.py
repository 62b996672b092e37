"""bf16 only where the processor has it; float32 agrees between engines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from mecli.errors import UsageError
from mecli.models.contract import with_epochs
from mecli.models.roi_flow_lstm import RoiFlowLstm, RoiFlowLstmOptions
from mecli.train import TrainOptions, train
from mecli.training import folder, precision
from mecli.training.fit import Course, fit, score_rows
from mecli.training.stacked import fit_folds
from tests.moving_records import record, records, write_cache
from tests.test_training import table
from tests.test_training_stacked import leave_one_subject_out

if TYPE_CHECKING:
    from pathlib import Path

OPTIONS = RoiFlowLstmOptions(steps=2, batch_size=4, dense=16)


def test_bf16_without_instructions_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    cache = write_cache(tmp_path / "c.h5", records(2))
    options = TrainOptions(caches=(cache,), precision="bf16", engine="pool", runs=tmp_path / "runs")
    with pytest.raises(UsageError, match="this CPU has no bfloat16 instructions"):
        train(options)
    assert not (tmp_path / "runs").exists()


@pytest.mark.skipif(not precision.has_bf16("cpu"), reason="this CPU has no bfloat16")
def test_a_bf16_run_says_so_and_keeps_float32_weights(tmp_path: Path) -> None:
    cache = write_cache(tmp_path / "c.h5", records(3))
    given = {"steps": 2, "dense": 16}
    result = train(
        TrainOptions(
            caches=(cache,), model_options=given, precision="bf16", engine="sequential", epochs=2,
            runs=tmp_path / "runs",
        )
    )  # fmt: skip
    assert folder.read_run(result.run)["precision"] == "bf16"
    from mecli.training.checkpoint import load_checkpoint

    assert result.final
    (network,) = load_checkpoint(result.final).networks
    assert {p.dtype for p in network.parameters()} == {torch.float32}


def test_bf16_computes_coarser_and_nearly_the_same_in_both_engines() -> None:
    # Without native instructions it is slow, not wrong.
    data = table(RoiFlowLstm, OPTIONS)
    stages = with_epochs(RoiFlowLstm.stages(OPTIONS), 2)
    rows = np.arange(6)
    fine, coarse = (fit(stages, data, rows, 0, course=Course(bf16=b)) for b in (False, True))
    (stacked,) = fit_folds(stages, data, [rows], 0, courses=[Course(bf16=True)])
    for fitted, least in ((coarse, 1e-5), (stacked, 1e-5)):
        losses = np.array(fitted.history["rois"])
        assert losses == pytest.approx(fine.history["rois"], abs=0.02)
        assert np.abs(losses - fine.history["rois"]).max() > least


@pytest.mark.parametrize("labels_known", [True, False])
def test_float32_engines_agree_on_the_predictions(labels_known: bool) -> None:
    """Of clips nobody trained on, and of clips whose class cannot be told."""
    subjects, clips = 6, 6
    made = [record(f"s{s}", f"c{c}", (s + c) % 3) for s in range(subjects) for c in range(clips)]
    made.sort(key=lambda r: r.clip_id)
    labels = np.array([("anger", "happiness", "surprise").index(r.labels["emotion"]) for r in made])
    if not labels_known:
        labels = np.random.default_rng(0).permutation(labels)
    data = replaced(made, labels)
    stages = with_epochs(RoiFlowLstm.stages(OPTIONS), 6)
    trains = leave_one_subject_out(data)
    agreed = []
    for rows, stacked in zip(trains, fit_folds(stages, data, trains, seed=0), strict=True):
        held = np.setdiff1d(np.arange(len(labels)), rows)
        alone = fit(stages, data, rows, seed=0)
        one, other = (
            score_rows(stages, fitted.networks, data, held).argmax(1) for fitted in (alone, stacked)
        )
        agreed += (one == other).tolist()
    assert len(agreed) == subjects * clips
    assert np.mean(agreed) >= 0.99


def replaced(made: list[Any], labels: Any) -> Any:
    from mecli.training.units import Table

    features = np.stack([RoiFlowLstm.features(r, OPTIONS) for r in made])
    return Table(tuple(r.clip_id for r in made), features, labels.astype(np.int64), 3)
