from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mecli.errors import InputError, NotWritten
from mecli.models.cnn_lstm import CnnLstm, CnnLstmOptions
from mecli.models.contract import Dropout, Recipe, with_epochs
from mecli.models.roi_flow_lstm import RoiFlowLstm, RoiFlowLstmOptions
from mecli.training import randomness
from mecli.training.checkpoint import digest, tensors_of
from mecli.training.fit import batches, build, clip_weights, fit, score_rows
from mecli.training.losses import batch_loss, targets, unit_weights
from mecli.training.optimiser import Adam, FlatWeights
from mecli.training.stacked import fit_folds
from mecli.training.units import Batch, Epoch, Table, Units, fits_gpu
from tests.moving_records import records

if TYPE_CHECKING:
    from pathlib import Path

KEYS = randomness.clip_keys([f"made/s/c{k}" for k in range(40)])


def masks_of(rows: Tensor, before: randomness.Drawn | None = None, epoch: int = 4) -> Tensor:
    dropouts = {"a": Dropout((6, 500), 0.3)}
    of = (0, "stage", epoch)
    return randomness.masks(dropouts, of, KEYS, rows, torch.float64, before=before)["a"]


def table(model: Any, options: Any, subjects: int = 3) -> Table:
    made = sorted(records(subjects), key=lambda r: r.clip_id)
    labels = [("anger", "happiness", "surprise").index(r.labels["emotion"]) for r in made]
    features = np.stack([model.features(r, options) for r in made])
    return Table(tuple(r.clip_id for r in made), features, np.array(labels, np.int64), 3)


FAST = [
    (RoiFlowLstm, RoiFlowLstmOptions(steps=2, batch_size=4, shift=0.3, jitter=0.3, mixup=True)),
    (CnnLstm, CnnLstmOptions(steps=2, patches=4, spatial_batch=8, temporal_batch=4)),
    (CnnLstm, CnnLstmOptions(steps=2, patches=4, training="end-to-end", temporal_batch=4)),
]


@pytest.mark.parametrize(("model", "options"), FAST)
class TestHeldOutClips:
    def test_scrambling_them_leaves_the_weights_bit_identical(
        self, model: Any, options: Any
    ) -> None:
        clean = table(model, options)
        held = np.array([c.startswith("made/s1/") for c in clean.clip_ids])
        train = np.flatnonzero(~held)
        scrambled = clean.features.copy()
        scrambled[held] = np.random.default_rng(0).normal(1e3, 1e6, scrambled[held].shape)
        scrambled[np.flatnonzero(held)[0]] = np.nan
        labels = clean.labels.copy()
        labels[held] = 2
        stages = with_epochs(model.stages(options), 2)
        digests = set()
        for data in (clean, replace(clean, features=scrambled, labels=labels)):
            fitted = fit(stages, data, train, seed=0)
            digests.add(digest(tensors_of(stages, fitted.networks)))
        assert len(digests) == 1

    def test_a_training_clip_does_change_the_weights(self, model: Any, options: Any) -> None:
        clean = table(model, options)
        changed = clean.features.copy()
        changed[0] = changed[1]
        stages = with_epochs(model.stages(options), 4)
        both = [
            digest(tensors_of(stages, fit(stages, data, np.arange(6), seed=0).networks))
            for data in (clean, replace(clean, features=changed))
        ]
        assert both[0] != both[1]

    def test_training_twice_gives_the_same_bits_and_another_seed_others(
        self, model: Any, options: Any
    ) -> None:
        data = table(model, options)
        stages = with_epochs(model.stages(options), 1)
        bits = [
            digest(tensors_of(stages, fit(stages, data, np.arange(6), seed).networks))
            for seed in (0, 0, 1)
        ]
        assert bits[0] == bits[1] != bits[2]

    def test_what_exceeds_the_memory_is_mapped_and_trains_to_the_same_bits(
        self, model: Any, options: Any, tmp_path: Path
    ) -> None:
        data = table(model, options)
        file = tmp_path / "features.npy"
        np.save(file, data.features)
        mapped = replace(
            data, features=np.load(file, mmap_mode="c"), scratch=tmp_path, memory_bytes=0
        )
        stages = with_epochs(model.stages(options), 1)
        for fitted in (
            [fit(stages, one, np.arange(6), 0) for one in (data, mapped)],
            [fit_folds(stages, one, [np.arange(6)] * 2, 0)[1] for one in (data, mapped)],
        ):
            bits = {digest(tensors_of(stages, f.networks)) for f in fitted}
            assert len(bits) == 1
        assert list(tmp_path.iterdir()) == [file]

    def test_a_clip_scores_the_same_in_any_company(self, model: Any, options: Any) -> None:
        data = table(model, options)
        stages = with_epochs(model.stages(options), 1)
        networks = fit(stages, data, np.arange(6), seed=0).networks
        together = score_rows(stages, networks, data, [6, 7, 8])
        assert np.array_equal(score_rows(stages, networks, data, [8, 6])[0], together[2])
        assert np.allclose(together.sum(1), 1)


class TestRandomness:
    def test_numbers_are_uniform_and_uncorrelated(self) -> None:
        drawn = randomness.numbers(randomness.stream(0, "test"), KEYS, 2000).numpy()
        assert drawn.min() >= 0
        assert drawn.max() < 1
        assert drawn.mean() == pytest.approx(0.5, abs=0.005)
        assert drawn.std() == pytest.approx(12**-0.5, abs=0.005)
        between = np.corrcoef(drawn) - np.eye(len(KEYS))
        assert np.abs(between).max() < 0.1

    def test_a_clip_has_its_own_numbers_wherever_it_stands(self) -> None:
        whole = randomness.numbers(7, KEYS, 5)
        assert torch.equal(randomness.numbers(7, KEYS[[9, 3]], 5), whole[[9, 3]])
        assert not torch.equal(randomness.numbers(8, KEYS, 5), whole)

    def test_masks_drop_the_rate_and_keep_the_mean(self) -> None:
        drawn = masks_of(torch.arange(40))
        assert drawn.shape == (40, 6, 500)
        assert float((drawn == 0).double().mean()) == pytest.approx(0.3, abs=0.01)
        assert float(drawn.mean()) == pytest.approx(1.0, abs=0.02)

    def test_masks_that_an_earlier_fold_drew_are_the_same(self) -> None:
        every = torch.arange(40)
        before = randomness.Drawn()
        drawn = masks_of(every, before)
        assert torch.equal(drawn, masks_of(every))
        left = before.left_bytes
        assert torch.equal(masks_of(every[[3, 17]], before), drawn[[3, 17]])
        assert before.left_bytes == left
        assert not torch.equal(masks_of(every, before, epoch=5), drawn)

    def test_no_more_masks_are_kept_than_the_budget_holds(self) -> None:
        every, one = torch.arange(40), 40 * 375
        before = randomness.Drawn(budget_bytes=one + 1)
        for epoch in (0, 1, 0, 1):
            assert torch.equal(masks_of(every, before, epoch), masks_of(every, epoch=epoch))
            assert before.left_bytes == 1

    def test_folds_of_a_run_share_what_they_draw_and_other_seeds_do_not(
        self, tmp_path: Path
    ) -> None:
        assert randomness.drawn(tmp_path, 0) is randomness.drawn(tmp_path, 0)
        assert randomness.drawn(tmp_path, 0) is not randomness.drawn(tmp_path, 1)

    def test_the_order_of_two_clips_hangs_on_those_two(self) -> None:
        order = randomness.order(3, KEYS).tolist()
        without = [k for k in order if k != 17]
        left = torch.cat([KEYS[:17], KEYS[18:]])
        assert [k + (k >= 17) for k in randomness.order(3, left).tolist()] == without

    def test_every_step_of_every_clip_has_its_own_key(self) -> None:
        assert len(set(randomness.step_keys(KEYS, 16).tolist())) == 640

    def test_every_epoch_takes_every_clip_once_in_another_order(self) -> None:
        plan = [torch.cat(parts) for _, parts in batches(Recipe(3, 16), "stage", 0, KEYS)]
        assert all(sorted(p.tolist()) == list(range(40)) for p in plan)
        assert len({tuple(p.tolist()) for p in plan}) == 3

    def test_batches_are_of_even_size(self) -> None:
        ((_, parts),) = batches(Recipe(1, 16), "stage", 0, KEYS)
        assert sorted(len(p) for p in parts) == [13, 13, 14]


class TestLosses:
    labels = torch.tensor([0, 2, 1, 0])
    scores = torch.randn(4, 3, dtype=torch.float64)

    def loss(self, recipe: Recipe, scores: Tensor, weights: Tensor | None = None) -> Tensor:
        weights = torch.ones(4, dtype=torch.float64) if weights is None else weights
        return batch_loss(recipe, scores, targets(recipe, self.labels, weights, 3))

    def test_it_is_torchs_cross_entropy(self) -> None:
        recipe = Recipe(1, label_smoothing=0.1)
        expected = nn.functional.cross_entropy(self.scores, self.labels, label_smoothing=0.1)
        assert torch.allclose(self.loss(recipe, self.scores), expected)

    def test_a_clip_of_weight_zero_is_as_good_as_absent(self) -> None:
        weights = torch.tensor([1.0, 0.0, 2.0, 1.0], dtype=torch.float64)
        kept = [0, 2, 3]
        recipe = Recipe(1, focal_gamma=2.0)
        part = targets(recipe, self.labels[kept], weights[kept], 3)
        expected = batch_loss(recipe, self.scores[kept], part)
        assert torch.allclose(self.loss(recipe, self.scores, weights), expected)

    def test_the_focal_loss_is_its_formula(self) -> None:
        p = torch.softmax(self.scores, 1)[range(4), self.labels]
        expected = (-((1 - p) ** 2) * p.log()).mean()
        assert torch.allclose(self.loss(Recipe(1, focal_gamma=2.0), self.scores), expected)

    def test_heads_are_summed(self) -> None:
        heads = torch.stack([self.scores, self.scores * 2], 1)
        both = self.loss(Recipe(1), heads[:, 0]) + self.loss(Recipe(1), heads[:, 1])
        assert torch.allclose(self.loss(Recipe(1), heads), both)

    @pytest.mark.parametrize("held", [[], [2]])
    def test_a_mixed_pair_with_a_held_out_half_is_left_out(self, held: list[int]) -> None:
        options = RoiFlowLstmOptions(steps=2, mixup=True)
        data = table(RoiFlowLstm, options)
        (stage,) = RoiFlowLstm.stages(options)
        train = np.array([k for k in range(9) if k not in held])
        part = torch.tensor([5, 2, 7, 0])
        units = Units(data, stage, clip_weights(data, stage, train))
        batch = Batch(Epoch(stage, units, seed=0, number=0), part)
        pairs = set(zip(batch.positions.tolist(), batch.others.tolist(), strict=True))
        assert pairs == {(5, 2), (2, 7), (7, 0), (0, 5)} - ({(5, 2), (2, 7)} if held else set())

    def test_weights_count_training_clips_only(self) -> None:
        labels = np.array([0, 0, 0, 1, 1, 1])
        weights = unit_weights(labels, np.array([0, 1, 3]), 3, balance=1.0)
        assert weights == pytest.approx([0.75, 0.75, 0, 1.5, 0, 0])
        assert unit_weights(labels, np.array([0, 1, 3]), 3, balance=0.0)[:4].tolist() == [
            1,
            1,
            0,
            1,
        ]


class TestOptimiser:
    def test_it_is_torchs_adamw(self) -> None:
        torch.manual_seed(0)
        mine, theirs = (nn.Linear(4, 3, dtype=torch.float64) for _ in range(2))
        theirs.load_state_dict(mine.state_dict())
        flat = FlatWeights(mine)
        recipe = Recipe(1, learning_rate=0.01, weight_decay=0.1, gradient_norm=0.5)
        adam = Adam(flat.values, flat.decays, recipe, 10)
        groups = [
            {"params": [theirs.weight], "weight_decay": 0.1},
            {"params": [theirs.bias], "weight_decay": 0.0},
        ]
        reference = torch.optim.AdamW(groups, lr=0.01)
        for step in range(10):
            batch = torch.randn(5, 4, dtype=torch.float64)
            for network in (mine, theirs):
                network.zero_grad(set_to_none=False)
                (network(batch) ** 2).sum().backward()
            nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
            adam.update(flat.values, flat.gradient, step)
            reference.step()
        assert torch.allclose(mine.weight, theirs.weight, atol=1e-7)
        assert torch.allclose(mine.bias, theirs.bias, atol=1e-7)

    def test_many_weights_move_as_few_do(self) -> None:
        chance = torch.Generator().manual_seed(0)
        recipe = Recipe(1, learning_rate=0.01, weight_decay=0.1, gradient_norm=0.5)
        many = torch.randn(150_000, generator=chance, dtype=torch.float64)
        rows, decays = many.clone()[None], torch.arange(150_000) % 2
        alone, stacked = (Adam(values, decays, recipe, 5) for values in (many, rows))
        for step in range(5):
            gradient = torch.randn(150_000, generator=chance, dtype=torch.float64)
            alone.update(many, gradient, step)
            stacked.update(rows, gradient[None], step)
        assert torch.allclose(many, rows[0], rtol=0, atol=1e-12)

    def test_rows_of_stacked_weights_do_not_touch(self) -> None:
        def after(values: Tensor, gradient: Tensor) -> Tensor:
            adam = Adam(values, torch.ones(3), Recipe(1, gradient_norm=1.0), 2)
            adam.update(values, gradient, 0)
            return values

        values, gradient = torch.randn(2, 3), torch.randn(2, 3) * 5
        alone = after(values[1].clone(), gradient[1])
        assert torch.allclose(after(values.clone(), gradient)[1], alone)

    def test_the_cosine_ends_near_zero(self) -> None:
        adam = Adam(
            torch.zeros(1), torch.zeros(1), Recipe(1, learning_rate=2.0, schedule="cosine"), 100
        )
        assert adam.rate(0) == pytest.approx(2.0, rel=1e-3)
        assert adam.rate(99) < 1e-3


def test_large_arrays_lie_in_files_and_no_folder_for_them_is_an_error(tmp_path: Path) -> None:
    data = table(RoiFlowLstm, RoiFlowLstmOptions(steps=2))
    here = replace(data, memory_bytes=100, scratch=tmp_path)
    away = replace(here, scratch=tmp_path / "away")
    like = torch.ones(1)
    for many in (here.zeros((6, 5), like), here.zeros((6, 5), like.double())):
        assert (many.shape, float(many.sum())) == ((6, 5), 0)
    assert away.zeros((5, 5), like).shape == (5, 5)
    with pytest.raises(NotWritten, match=r"away: cannot be written"):
        away.zeros((6, 5), like)


def test_features_that_would_fill_a_gpu_stay_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (404, 1000))
    assert fits_gpu(torch.zeros(25))
    assert not fits_gpu(torch.zeros(26))


def test_a_loss_that_leaves_the_numbers_is_an_error() -> None:
    options = RoiFlowLstmOptions(steps=2)
    data = table(RoiFlowLstm, options)
    broken = replace(data, features=np.full_like(data.features, np.nan))
    stages = with_epochs(RoiFlowLstm.stages(options), 1)
    with pytest.raises(InputError, match="stage rois: the loss became nan in epoch 1"):
        fit(stages, broken, np.arange(6), seed=0)


def test_a_batch_without_training_clips_changes_nothing() -> None:
    options = RoiFlowLstmOptions(steps=2, batch_size=1)
    data = table(RoiFlowLstm, options)
    stages = with_epochs(RoiFlowLstm.stages(options), 2)
    history = fit(stages, data, np.arange(3), seed=0).history
    assert len(history["rois"]) == 2


def test_an_epoch_in_which_mixup_finds_no_pair_moves_nothing() -> None:
    options = RoiFlowLstmOptions(steps=2, batch_size=9, mixup=True, dense=16)
    data = table(RoiFlowLstm, options)
    (stage,) = stages = with_epochs(RoiFlowLstm.stages(options), 1)
    ((_, (order,)),) = batches(stage.recipe, stage.name, 0, randomness.clip_keys(data.clip_ids))
    # Each clip is blended with the next one: these two have no partner.
    train = np.sort(order[[0, 2]].numpy())
    (stacked,) = fit_folds(stages, data, [train], seed=0)
    drawn = build(stage, data.features.shape[1:], 3, 0, torch.float32).state_dict()
    for fitted in (fit(stages, data, train, seed=0), stacked):
        assert fitted.history == {"rois": [0.0]}
        for name, value in fitted.networks[0].state_dict().items():
            assert torch.equal(value, drawn[name])
