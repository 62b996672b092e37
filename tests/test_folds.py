from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mecli import folds, registry
from mecli.errors import InputError, UsageError
from mecli.folds import Fold, check_folds

if TYPE_CHECKING:
    from random import Random

CLIPS = st.dictionaries(
    st.integers(0, 60).map(lambda i: f"{'ab'[i % 2]}/{i % 9}/{i}"),
    st.none(),
    min_size=1,
    max_size=40,
).map(lambda keys: {clip: clip.rsplit("/", 1)[0] for clip in keys})
MIXED = CLIPS.filter(lambda s: len(set(s.values())) >= 3 and len({p[0] for p in s}) == 2)


def table(*counts: int) -> dict[str, str]:
    return {f"c/s{p}/{i}": f"c/s{p}" for p, n in enumerate(counts) for i in range(n)}


@pytest.mark.parametrize("name", ["loso", "kfold", "lodo", "hde"])
@settings(deadline=None)
@given(subject_of=MIXED)
def test_every_clip_is_tested_exactly_once(name: str, subject_of: dict[str, str]) -> None:
    made = registry.load("protocol", name)(subject_of, k=3)
    assert sorted(c for fold in made for c in fold.test) == sorted(subject_of)
    assert all(fold.test for fold in made)


@pytest.mark.parametrize("name", sorted(registry.PROTOCOLS))
@settings(deadline=None)
@given(subject_of=MIXED, seed=st.integers(0, 2**40))
def test_no_person_is_on_both_sides(name: str, subject_of: dict[str, str], seed: int) -> None:
    for fold in registry.load("protocol", name)(subject_of, k=3, share=0.3, seed=seed):
        assert set(fold.train) | set(fold.test) == set(subject_of)
        assert not {subject_of[c] for c in fold.train} & {subject_of[c] for c in fold.test}
        assert fold.train


@pytest.mark.parametrize("name", sorted(registry.PROTOCOLS))
@settings(deadline=None)
@given(subject_of=MIXED, shuffle=st.randoms())
def test_the_order_of_the_clips_does_not_matter(
    name: str, subject_of: dict[str, str], shuffle: Random
) -> None:
    protocol = registry.load("protocol", name)
    items = list(subject_of.items())
    shuffle.shuffle(items)
    assert protocol(dict(items), k=3) == protocol(subject_of, k=3)


def test_loso_has_one_fold_a_person_named_after_them() -> None:
    made = folds.loso(table(3, 1, 2))
    assert [(f.name, len(f.train), len(f.test)) for f in made] == [
        ("c/s0", 3, 3),
        ("c/s1", 5, 1),
        ("c/s2", 4, 2),
    ]


def test_the_same_subject_name_in_two_corpora_is_two_people() -> None:
    subject_of = {"a/01/x": "a/01", "b/01/x": "b/01"}
    assert len(folds.loso(subject_of)) == 2


def corpora(**clips: int) -> dict[str, str]:
    return {f"{c}/s{i % 3}/{i}": f"{c}/s{i % 3}" for c, n in clips.items() for i in range(n)}


def test_lodo_has_one_fold_a_corpus_named_after_it() -> None:
    made = folds.lodo(corpora(samm=4, casme2=6, smic=5))
    assert [(f.name, len(f.train), len(f.test)) for f in made] == [
        ("casme2", 9, 6),
        ("samm", 11, 4),
        ("smic", 10, 5),
    ]


def test_corpora_of_the_same_people_are_left_out_together() -> None:
    subject_of = {**corpora(samm=3, casme2=3), "samm-lv/s0/x": "samm/s0"}
    assert [f.test[-1] for f in folds.lodo(subject_of)] == ["casme2/s2/2", "samm/s2/2"]
    assert "samm-lv/s0/x" in folds.lodo(subject_of)[1].test


def test_hde_trains_on_one_corpus_and_tests_on_the_other_both_ways() -> None:
    there, back = folds.hde(corpora(samm=4, casme2=6))
    assert (there.name, back.name) == ("samm to casme2", "casme2 to samm")
    assert (there.train, there.test) == (back.test, back.train)
    assert {c.split("/")[0] for c in there.test} == {"casme2"}


def test_one_corpus_cannot_be_left_out_and_hde_takes_exactly_two() -> None:
    for protocol in (folds.lodo, folds.hde):
        with pytest.raises(InputError, match=r"1 corpus \(samm\), expected at least 2"):
            protocol(corpora(samm=6))
    with pytest.raises(InputError, match=r"3 corpora \(a, b, c\), expected exactly 2 .* lodo"):
        folds.hde(corpora(a=2, b=2, c=2))


def test_kfold_balances_clip_counts() -> None:
    made = folds.kfold(table(10, 9, 8, 3, 2, 1), k=3)
    assert [len(f.test) for f in made] == [11, 11, 11]
    assert [f.name for f in made] == ["part1", "part2", "part3"]


def test_the_seed_changes_who_is_held_out() -> None:
    subject_of = table(*[2] * 20)
    held = {folds.holdout(subject_of, seed=seed)[0].test for seed in range(10)}
    assert len(held) > 5
    assert {len(test) for test in held} == {8}
    assert folds.kfold(subject_of, seed=1) != folds.kfold(subject_of, seed=2)


@pytest.mark.parametrize(("share", "held"), [(0.001, 1), (0.5, 2), (0.999, 2)])
def test_holdout_keeps_someone_on_each_side(share: float, held: int) -> None:
    (fold,) = folds.holdout(table(1, 1, 1), share=share)
    assert len(fold.test) == held


def test_everything_holds_out_nobody() -> None:
    (fold,) = folds.everything({"c/s/2": "c/s", "c/s/1": "c/s"})
    assert fold == Fold("all", ("c/s/1", "c/s/2"), ())


@pytest.mark.parametrize("name", ["loso", "kfold", "holdout", "lodo", "hde"])
def test_one_subject_cannot_be_left_out(name: str) -> None:
    with pytest.raises(InputError, match=r"1 subject\(s\) \(c/s0\), expected at least"):
        registry.load("protocol", name)(table(4))


@pytest.mark.parametrize("name", sorted(registry.PROTOCOLS))
def test_no_clips_is_an_error(name: str) -> None:
    with pytest.raises(InputError, match=r"0 subject\(s\), expected at least"):
        registry.load("protocol", name)({})


def test_fewer_subjects_than_folds_is_an_error() -> None:
    with pytest.raises(InputError, match="expected at least 4"):
        folds.kfold(table(1, 1, 1), k=4)
    with pytest.raises(UsageError, match="at least 2 folds, got 1"):
        folds.kfold(table(1, 1, 1), k=1)


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0, float("nan")])
def test_a_share_is_between_nobody_and_everybody(share: float) -> None:
    with pytest.raises(UsageError, match="0 < share < 1"):
        folds.holdout(table(1, 1), share=share)


def test_dishonest_folds_are_refused() -> None:
    subject_of = {"c/a/1": "c/a", "c/a/2": "c/a", "c/b/1": "c/b"}
    with pytest.raises(InputError, match="c/a is both trained on and tested"):
        check_folds([Fold("f", ("c/a/1",), ("c/a/2",))], subject_of)
    with pytest.raises(InputError, match="clip c/b/1 is tested twice: in f and g"):
        check_folds([Fold("f", (), ("c/b/1",)), Fold("g", (), ("c/b/1",))], subject_of)
    with pytest.raises(InputError, match="clip c/a/1 is tested in no fold"):
        check_folds([Fold("f", (), ("c/b/1",))], subject_of, every_clip=True)
    with pytest.raises(InputError, match="the subject of clip c/z/1 is not known"):
        check_folds([Fold("f", (), ("c/z/1",))], subject_of)
