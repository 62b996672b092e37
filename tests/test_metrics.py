from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    precision_score,
    recall_score,
)

from mecli import metrics
from mecli.errors import InputError

if TYPE_CHECKING:
    from random import Random

Table = tuple[int, list[tuple[int, int]]]


def tables() -> st.SearchStrategy[Table]:
    """Return class counts with (label, prediction) pairs; many leave a class out."""

    def pairs(k: int) -> st.SearchStrategy[Table]:
        pair = st.tuples(st.integers(0, k - 1), st.integers(0, k - 1))
        return st.tuples(st.just(k), st.lists(pair, min_size=1, max_size=60))

    return st.integers(2, 7).flatmap(pairs)


@settings(deadline=None)
@given(table=tables())
def test_scores_equal_scikit_learns_macro_scores_over_the_fixed_classes(table: Table) -> None:
    k, pairs = table
    labels, predictions = np.array(pairs).T
    counts = metrics.confusion(labels, predictions, k)
    over = {"labels": list(range(k)), "zero_division": 0}
    assert np.array_equal(counts, confusion_matrix(labels, predictions, labels=range(k)))
    assert metrics.uf1(counts) == pytest.approx(
        f1_score(labels, predictions, average="macro", **over)
    )
    assert metrics.uar(counts) == pytest.approx(
        recall_score(labels, predictions, average="macro", **over)
    )
    assert metrics.macro_precision(counts) == pytest.approx(
        precision_score(labels, predictions, average="macro", **over)
    )
    assert metrics.accuracy(counts) == pytest.approx(accuracy_score(labels, predictions))
    for ours, theirs in (
        (metrics.f1_per_class, f1_score),
        (metrics.recall_per_class, recall_score),
        (metrics.precision_per_class, precision_score),
    ):
        assert ours(counts) == pytest.approx(theirs(labels, predictions, average=None, **over))


@settings(deadline=None)
@given(table=tables(), shuffle=st.randoms())
def test_the_order_of_the_clips_changes_no_score(table: Table, shuffle: Random) -> None:
    k, pairs = table
    mixed = list(pairs)
    shuffle.shuffle(mixed)
    before, after = (
        metrics.confusion([a for a, _ in p], [b for _, b in p], k) for p in (pairs, mixed)
    )
    assert metrics.headline(before) == metrics.headline(after)


def test_pooling_is_not_the_mean_of_folds() -> None:
    folds = np.array([[[2, 0], [0, 0]], [[0, 0], [0, 2]]])
    assert metrics.uf1(folds.sum(0)) == 1.0
    assert np.mean([metrics.uf1(fold) for fold in folds]) == 0.5


def test_a_class_that_never_occurs_counts_as_zero_and_is_named() -> None:
    counts = metrics.confusion([0, 1, 1], [0, 1, 1], 3)
    assert metrics.uf1(counts) == pytest.approx(2 / 3)
    assert metrics.uar(counts) == pytest.approx(2 / 3)
    assert metrics.absent_classes(counts, ("negative", "positive", "surprise")) == ("surprise",)


def test_scores_of_a_stack_equal_the_scores_of_each() -> None:
    stack = np.random.default_rng(0).integers(0, 9, (5, 3, 3))
    together = metrics.headline(stack)
    for i, counts in enumerate(stack):
        assert {name: values[i] for name, values in together.items()} == metrics.headline(counts)


def test_nothing_to_score_is_an_error() -> None:
    counts = metrics.confusion([], [], 3)
    with pytest.raises(InputError, match="no predictions to score"):
        metrics.uf1(counts)


def test_positions_outside_the_class_list_are_refused() -> None:
    with pytest.raises(InputError, match=r"class position 3 is outside 0\.\.2"):
        metrics.confusion([0, 1], [0, 3], 3)
    with pytest.raises(InputError, match="class position -1 is outside"):
        metrics.confusion([-1], [0], 3)
    with pytest.raises(InputError, match="2 labels but 1 predictions"):
        metrics.confusion([0, 1], [0], 3)
    with pytest.raises(InputError, match=r"type float64, expected \(N,\) int"):
        metrics.confusion([0.0], [0], 3)
    with pytest.raises(InputError, match=r"shape \(1, 1\)"):
        metrics.confusion([[0]], [0], 3)
