from __future__ import annotations

import numpy as np
import pytest

from mecli import metrics
from mecli.errors import InputError
from mecli.statistics import bootstrap, paired_bootstrap, subject_confusions


def people(
    persons: int, clips: int, skill: float, seed: int = 0, classes: int = 3
) -> tuple[list[int], list[int], list[str]]:
    """Return labels, predictions right with chance `skill`, and subjects."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, persons * clips)
    wrong = (labels + generator.integers(1, classes, labels.size)) % classes
    right = generator.random(labels.size) < skill
    subjects = [f"c/s{i // clips:03}" for i in range(labels.size)]
    return labels.tolist(), np.where(right, labels, wrong).tolist(), subjects


def test_subject_confusions_add_up_to_the_pooled_confusion() -> None:
    labels, predictions, subjects = people(7, 5, 0.6)
    shuffled = np.random.default_rng(1).permutation(len(labels))
    per_subject = subject_confusions(
        np.array(labels)[shuffled],
        np.array(predictions)[shuffled],
        [subjects[i] for i in shuffled],
        3,
    )
    assert per_subject.shape == (7, 3, 3)
    assert np.array_equal(per_subject.sum((1, 2)), [5] * 7)
    assert np.array_equal(per_subject.sum(0), metrics.confusion(labels, predictions, 3))
    assert np.array_equal(per_subject, subject_confusions(labels, predictions, subjects, 3))


def test_the_interval_holds_the_score_and_depends_only_on_the_seed() -> None:
    counts = subject_confusions(*people(30, 6, 0.7), 3)
    found = bootstrap(counts, seed=3)
    for name, value in metrics.headline(counts.sum(0)).items():
        low, high = found.of[name]
        assert 0 <= low < value < high <= 1
    assert found.note == ""
    assert bootstrap(counts, seed=3) == found
    assert bootstrap(counts, seed=4) != found


def test_the_bootstrap_equals_redoing_it_clip_by_clip() -> None:
    labels, predictions, subjects = people(40, 3, 0.6)
    names = sorted(set(subjects))
    generator = np.random.default_rng(9)
    scores = []
    for _ in range(1000):
        drawn = generator.choice(names, len(names))
        rows = [i for name in drawn for i, s in enumerate(subjects) if s == name]
        counts = metrics.confusion([labels[i] for i in rows], [predictions[i] for i in rows], 3)
        scores.append(metrics.uf1(counts))
    found = bootstrap(subject_confusions(labels, predictions, subjects, 3), 4000)
    assert found.of["uf1"] == pytest.approx(np.quantile(scores, [0.025, 0.975]), abs=0.015)


def test_people_who_are_all_right_or_all_wrong_widen_the_interval() -> None:
    labels = [i % 3 for i in range(120)]
    subjects = [f"c/s{i // 6:02}" for i in range(120)]
    of_people = [x if i // 6 % 2 else (x + 1) % 3 for i, x in enumerate(labels)]
    of_clips = [x if i % 2 else (x + 1) % 3 for i, x in enumerate(labels)]
    widths = []
    for predictions in (of_people, of_clips):
        low, high = bootstrap(subject_confusions(labels, predictions, subjects, 3)).of["accuracy"]
        widths.append(high - low)
    assert widths[0] == pytest.approx(2 * 1.96 * 0.5 / 20**0.5, rel=0.1)
    assert widths[1] == 0


def test_a_draw_without_a_class_is_repeated_and_said_so() -> None:
    labels = [0] * 10 + [1] * 10 + [2]
    subjects = [f"c/s{i % 20:02}" for i in range(21)]
    found = bootstrap(subject_confusions(labels, labels, subjects, 3))
    assert set(found.of.values()) == {(1.0, 1.0)}
    assert "of the draws lacked a class and were repeated" in found.note


def test_a_class_nobody_shows_stays_zero_in_every_draw() -> None:
    labels, predictions, subjects = people(20, 6, 1.0, classes=2)
    found = bootstrap(subject_confusions(labels, predictions, subjects, 4))
    assert found.of["uf1"] == found.of["uar"] == (0.5, 0.5)
    assert found.of["accuracy"] == (1.0, 1.0)


def test_without_useful_draws_there_is_a_reason_instead_of_an_interval() -> None:
    labels = list(range(20))
    found = bootstrap(subject_confusions(labels, labels, [f"c/{i:02}" for i in labels], 20))
    assert not found.of
    assert found.note == "no interval: only 0 of 2000 draws of 20 subjects hold every class"


def test_one_subject_has_no_interval_and_few_have_a_doubtful_one() -> None:
    alone = bootstrap(subject_confusions(*people(1, 9, 0.5), 3))
    assert not alone.of
    assert "needs at least 2, got 1" in alone.note
    few = bootstrap(subject_confusions(*people(5, 9, 0.5), 3))
    assert few.of
    assert few.note.endswith("rests on 5 subjects only: all that so few can span holds the truth "
        "about 94% of the time at best")  # fmt: skip
    some = bootstrap(subject_confusions(*people(6, 9, 0.5), 3))
    assert some.note == "the interval rests on 6 subjects only and may be too narrow"


def test_two_subjects_who_are_all_right_are_no_certainty() -> None:
    found = bootstrap(subject_confusions(*people(2, 9, 1.0), 3))
    assert found.of["uf1"] == (1.0, 1.0)
    assert "about 50% of the time at best" in found.note
    assert found.note.endswith("every draw scores alike, which is no certainty")


def test_a_paired_difference_is_surer_than_two_intervals() -> None:
    labels, predictions, subjects = people(40, 5, 0.6)
    better = predictions.copy()
    better[::10] = labels[::10]
    first = subject_confusions(labels, predictions, subjects, 3)
    second = subject_confusions(labels, better, subjects, 3)
    low, high = paired_bootstrap(first, second).of["accuracy"]
    gain = metrics.accuracy(second.sum(0)) - metrics.accuracy(first.sum(0))
    assert 0 < low < gain < high
    own_low, own_high = bootstrap(first).of["accuracy"]
    assert high - low < 0.6 * (own_high - own_low)


def test_a_run_differs_from_itself_by_nothing() -> None:
    counts = subject_confusions(*people(12, 5, 0.6), 3)
    assert set(paired_bootstrap(counts, counts).of.values()) == {(0.0, 0.0)}
    assert not paired_bootstrap(counts[:1], counts[:1]).of


def test_a_pair_needs_the_same_labels() -> None:
    first = subject_confusions(*people(12, 5, 0.6), 3)
    second = subject_confusions(*people(12, 5, 0.6, seed=1), 3)
    with pytest.raises(InputError, match="same subjects, clips and labels"):
        paired_bootstrap(first, second)
    with pytest.raises(InputError, match="same subjects, clips and labels"):
        paired_bootstrap(first, first[:5])


def test_lists_of_different_lengths_are_refused() -> None:
    with pytest.raises(InputError, match="1 subjects for 2 clips, expected one each"):
        subject_confusions([0, 1], [0, 1], ["c/s"], 2)
    with pytest.raises(InputError, match="0 resamples, expected at least 1"):
        bootstrap(subject_confusions([0, 1], [0, 1], ["a", "b"], 2), 0)
