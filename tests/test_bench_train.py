"""The benchmark compares the same networks and the same steps, and its figures add up."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from mecli import cli, registry
from mecli.bench import textbook, train
from mecli.bench.gpu import stacked_figures
from mecli.bench.loso import Bench, FoldTime, Timed, extrapolated, prepare, together
from mecli.bench.moving import moving_clips
from mecli.bench.train import MODELS, BenchTrainOptions
from mecli.errors import UnknownName, UsageError
from mecli.report.bench import training_text
from mecli.training.fit import build

if TYPE_CHECKING:
    from pathlib import Path


def textbook_loops(bench: Bench) -> list[textbook.Loop]:
    recipes = [stage.recipe for stage in bench.job.stages]
    labels = np.array(bench.job.labels, dtype=np.int64)
    return textbook.loops(bench.job.model, bench.options, recipes, bench.features, labels)


def second_biases(network: torch.nn.Module) -> int:
    """Count what nn.LSTM has and the papers' LSTM has not."""
    return sum(w.numel() for name, w in network.named_parameters() if "bias_hh" in name)


@pytest.mark.parametrize("model", MODELS)
class TestTextbook:
    def test_it_trains_networks_of_just_as_many_weights(self, model: str, tmp_path: Path) -> None:
        bench = prepare(model, 6, 3, tmp_path / model)
        shape: tuple[int, ...] = bench.features.shape[1:]
        stages = bench.job.stages
        for stage, loop in zip(stages, textbook_loops(bench), strict=True):
            if stage.unit == "step":
                shape = shape[1:]
            elif loop.name == "sequence":
                shape = (*bench.features.shape[1:3], 256)
            ours = build(stage, shape, 3, 0, torch.float32)
            theirs = loop.network
            count = sum(w.numel() for w in theirs.parameters()) - second_biases(theirs)
            assert count == sum(w.numel() for w in ours.parameters())

    def test_a_step_moves_every_weight_and_is_timed(self, model: str, tmp_path: Path) -> None:
        bench = prepare(model, 6, 3, tmp_path / model)
        for loop in textbook_loops(bench):
            before = [w.detach().clone() for w in loop.network.parameters()]
            step = loop.time_step(1e-6)
            assert step.count == 1
            assert step.wall_s > 0
            after = loop.network.parameters()
            moved = [bool((a != b).any()) for a, b in zip(after, before, strict=True)]
            assert all(moved)
            assert loop.steps == loop.recipe.epochs * math.ceil(
                len(loop.clips) / loop.recipe.batch_size
            )


class TestClips:
    def test_classes_can_be_told_apart_and_clips_come_out_the_same_twice(self) -> None:
        made, again = (list(moving_clips(9, 3)) for _ in range(2))
        assert all(
            np.array_equal(a.flow, b.flow) for (a, _), (b, _) in zip(made, again, strict=True)
        )
        assert {r.person for r, _ in made} == {"bench/s0000", "bench/s0001", "bench/s0002"}
        assert {k for _, k in moving_clips(40, 4)} == {0, 1, 2}
        record, label = made[0]
        assert record.flow.shape == (16, 70, 60, 2)
        row, column, *_ = ((15, 30), (50, 22), (14, 18))[label]
        speed = np.linalg.norm(record.apex_flow, axis=-1)
        assert speed[row - 3 : row + 3, column - 3 : column + 3].mean() > 3 * speed.mean()


class TestFigures:
    def test_a_fold_is_cut_into_its_stages(self, tmp_path: Path) -> None:
        stages = prepare("ststnet", 12, 3, tmp_path / "x").stages()
        assert sum(stages.values()) == pytest.approx(1, abs=0.01)
        assert stages["backward"] > 0
        assert stages["batches"] > 0
        assert stages["export"] == 0

    def test_what_a_process_does_once_counts_once(self) -> None:
        folds = [
            FoldTime(0.0, 9.0, 8.0, 5, process=1), FoldTime(9.0, 10.0, 0.5, 7, process=1),
            FoldTime(1.0, 8.0, 6.0, 6, process=2), FoldTime(8.0, 11.0, 1.5, 6, process=2),
        ]  # fmt: skip
        assert together(folds) == Timed(11.0, 16.0, 7)
        assert extrapolated(folds, 10, 2) == Timed(9.0 + 8 / 2 * 2.0, 14.0 + 8 * 1.0, 7)
        assert extrapolated(folds[:1], 3, 1) == Timed(27.0, 24.0, 5)

    def test_stacked_folds_are_counted_on_any_device(self) -> None:
        figures = stacked_figures("ststnet", 12, 4, "cpu", side=64)
        assert (figures["folds"], figures["steps"]) == (4, 1)
        assert figures["roofline"] == pytest.approx(
            figures["tflop_per_s"] / figures["peak_tflop_per_s"], rel=0.02, abs=0.001
        )

    def test_the_command_prints_ratios_of_what_it_timed(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(train, "SIZES", (12, 24))
        arguments = ["bench", "train", "--models", "ststnet", "--clips", "12", "--subjects", "4",
                     "--seconds", "0.01", "--folds", "2", "-j", "1", "--scale"]  # fmt: skip
        done = CliRunner().invoke(cli.app, [*arguments, "--json"])
        assert done.exit_code == 0, done.stderr
        figures = json.loads(done.stdout)
        model = figures["models"]["ststnet"]
        assert model["folds_timed"] == 2
        least = model["textbook_one_thread_core_s"] / model["loso_core_s"]
        assert model["times_less_work_than_one_thread"] == pytest.approx(least, rel=0.1, abs=0.05)
        assert model["peak_total_mib"] > model["peak_worker_mib"] > 10
        assert model["textbook_steps_timed"]["apex"] >= 1
        ratio = model["textbook_loso_s"] / model["loso_s"]
        assert model["times_faster"] == pytest.approx(ratio, abs=0.1 * ratio + 0.05)
        assert [(r["clips"], r["folds"]) for r in figures["scale"]] == [(12, 1), (12, 2), (24, 1)]
        text = training_text({**figures, "gpu": {"roofline": 0.5}})
        assert "ststnet" in text
        assert "LOSO of 12 clips in 4 folds, 1 workers" in text
        assert "than one thread" in text
        assert "core ms per clip and fold" in text
        assert "roofline  0.5" in text


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"models": ("htnet",)}, "unknown model with a textbook loop 'htnet'"),
        ({"clips": 3, "subjects": 4}, "3 clips of 4 subjects"),
        ({"folds": 0}, "--folds is 0, expected 1 or more"),
        ({"seconds": 0.0}, "--seconds is 0"),
    ],
)
def test_options_are_checked(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises((UnknownName, UsageError), match=message):
        BenchTrainOptions(**wrong)


def test_every_model_with_a_textbook_is_known() -> None:
    assert set(MODELS) <= set(registry.names("model"))
