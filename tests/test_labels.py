from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mecli import registry
from mecli.audit import AuditOptions
from mecli.errors import InputError, UnknownName, UsageError
from mecli.labels import Annotation, apply_scheme
from mecli.schemes.au import SCHEMES
from mecli.training.options import TrainOptions

if TYPE_CHECKING:
    from pathlib import Path

    from mecli.labels import LabelTable


def labelled(*rows: tuple[str, str]) -> list[Annotation]:
    return [Annotation(clip, clip.split("/")[0], {"emotion": word}) for clip, word in rows]


def test_megc2019_groups_emotions_into_three_classes() -> None:
    table = apply_scheme(
        "megc2019",
        labelled(
            ("samm/1/a", "Anger"), ("samm/1/b", "Happiness"), ("samm/1/c", "surprise"),
            ("samm/1/d", "Other"), ("smic/1/e", "negative"), ("samm/1/f", ""),
        ),
    )  # fmt: skip
    assert table.classes == ("negative", "positive", "surprise")
    assert table.index == {"samm/1/a": 0, "samm/1/b": 1, "samm/1/c": 2, "smic/1/e": 0}
    assert set(table.excluded) == {"samm/1/d", "samm/1/f"}
    assert "'unknown'" in table.excluded["samm/1/f"]


def test_megc2019_takes_from_casme2_only_what_the_organisers_list() -> None:
    table = apply_scheme(
        "megc2019",
        labelled(
            ("casme2/sub01/a", "disgust"), ("casme2/sub01/b", "repression"),
            ("casme2/sub01/c", "sadness"), ("casme2/sub01/d", "fear"),
            ("casme2/sub04/EP12_01f", "disgust"), ("casme2/sub05/EP09_05f", "disgust"),
        ),
    )  # fmt: skip
    assert set(table.index) == {"casme2/sub01/a", "casme2/sub01/b"}


def test_emotion_keeps_the_words_of_the_corpus_in_order() -> None:
    table = apply_scheme("emotion", labelled(("c/1/b", "Fear"), ("c/1/a", "anger"), ("c/1/c", " ")))
    assert table.classes == ("anger", "fear")
    assert table.index == {"c/1/a": 0, "c/1/b": 1}
    assert table.excluded == {"c/1/c": "no emotion given"}


def test_a_csv_maps_own_labels_to_classes_in_its_order(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("\ufefflabel,class\nfear,bad\n\nHappiness,good\nother,\n")
    clips = labelled(("c/1/a", "fear"), ("c/1/b", "happiness"), ("c/1/c", "other"))
    table = apply_scheme(str(path), clips)
    assert table.classes == ("bad", "good")
    assert table.index == {"c/1/a": 0, "c/1/b": 1}
    assert table.excluded == {"c/1/c": "label 'other' has no class in mine.csv"}


def test_a_csv_may_name_clips_instead(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("clip,class\nc/1/a,x\nc/1/b,y\n")
    assert apply_scheme(str(path), labelled(("c/1/b", ""), ("c/1/a", ""))).index == {
        "c/1/a": 0,
        "c/1/b": 1,
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"header is \(empty\), expected 'label,class'"),
        ("a,b\n", "header is a,b"),
        ("label,class\nx,y\n", r"names 1 class\(es\)"),
        ("label,class\nx,y\nx,z\n", "row 3 gives 'x' a second class 'z'"),
        ("label,class\nx\n", "row 2 has 1 cells, expected 2"),
    ],
)
def test_a_broken_csv_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        apply_scheme(str(path), [])


def test_a_csv_of_own_classes_may_be_parted_by_semicolons(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("label;class\nhappiness;good\nfear;bad\n")
    table = apply_scheme(str(path), [Annotation("c/s/x", "c", {"emotion": "fear"})])
    assert (table.classes, table.index) == (("good", "bad"), {"c/s/x": 1})


def test_a_missing_or_binary_csv_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        apply_scheme(str(tmp_path / "none.csv"), [])
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(InputError, match=r"is not UTF-8.*; save it as 'CSV UTF-8'"):
        apply_scheme(str(tmp_path / "binary.csv"), [])


def test_an_unknown_scheme_suggests_the_nearest() -> None:
    with pytest.raises(UnknownName, match=r"unknown label scheme 'megc2109'; did you mean 'megc20"):
        apply_scheme("megc2109", [])


def test_an_unknown_scheme_lists_what_else_may_be_given() -> None:
    with pytest.raises(UnknownName, match=r"megc2019-none, a table FILE\.csv\)"):
        apply_scheme("mine.tsv", [])
    with pytest.raises(UnknownName, match=r"au for all units, a table FILE\.csv\)"):
        TrainOptions(labels="mine.tsv")
    with pytest.raises(UsageError, match="'au': it is au1 to au17 one by one, for `mecli train`"):
        AuditOptions(labels="au")


def test_megc2019_believes_a_table_of_the_organisers() -> None:
    labels = {"emotion": "negative", "megc2019": "negative"}
    table = apply_scheme("megc2019", [Annotation("casme2/sub01/a", "casme2", labels)])
    assert table.index == {"casme2/sub01/a": 0}


def counted(corpus: str, **words: int) -> list[Annotation]:
    """Return as many clips of a corpus with each emotion as its sheet has."""
    return labelled(
        *((f"{corpus}/s1/{word}{i}", word) for word, n in words.items() for i in range(n))
    )


CASME2 = counted(
    "casme2", others=99, disgust=61, happiness=32, repression=27, surprise=25, sadness=7, fear=2
) + labelled(("casme2/sub04/EP12_01f", "disgust"), ("casme2/sub05/EP09_05f", "disgust"))
SAMM = counted(
    "samm", Anger=57, Other=26, Happiness=26, Surprise=15, Contempt=12, Disgust=9, Fear=8, Sadness=6
)
SMIC = counted("smic", negative=70, positive=51, surprise=43)


def counts(table: LabelTable, corpus: str) -> list[int]:
    of = [i for clip, i in table.index.items() if clip.startswith(f"{corpus}/")]
    return [of.count(k) for k in range(len(table.classes))]


def test_megc2019_has_the_official_counts_of_its_442_clips() -> None:
    table = apply_scheme("megc2019", CASME2 + SAMM + SMIC)
    assert counts(table, "casme2") == [88, 32, 25]
    assert counts(table, "samm") == [92, 26, 15]
    assert counts(table, "smic") == [70, 51, 43]
    assert len(table.index) == 442
    assert table.excluded["casme2/sub05/EP09_05f"] == "not in the official MEGC 2019 list"


def test_megc2019_takes_smic_from_the_fast_camera_only() -> None:
    names = ("s01_ne_01", "s01_ne_01_VIS", "s01_ne_01_NIR")
    table = apply_scheme("megc2019", labelled(*((f"smic/s01/{n}", "negative") for n in names)))
    assert set(table.index) == {"smic/s01/s01_ne_01"}
    assert "SMIC-VIS is not in MEGC 2019" in table.excluded["smic/s01/s01_ne_01_VIS"]


def objective(*cells: str) -> list[Annotation]:
    return [Annotation(f"samm/1/{i}", "samm", {"objective": c}) for i, c in enumerate(cells)]


def test_megc2018_reads_objective_classes_as_numerals_or_numbers() -> None:
    table = apply_scheme("megc2018", objective("I", "v", "3", "4.0", " II "))
    assert table.classes == ("I", "II", "III", "IV", "V")
    assert list(table.index.values()) == [0, 4, 2, 3, 1]


def test_megc2018_says_why_a_clip_is_left_out() -> None:
    table = apply_scheme("megc2018", objective("VII", "6", "", "fear", "8", "9" * 5000))
    assert list(table.excluded.values()) == [
        "objective class VII is not in MEGC 2018",
        "objective class VI is not in MEGC 2018",
        "no objective class given",
        "objective class 'fear' is none of I to VII",
        "objective class '8' is none of I to VII",
        f"objective class '{'9' * 40}' is none of I to VII",
    ]
    assert not table.index


def test_emotion5_takes_the_five_emotions_of_each_corpus() -> None:
    table = apply_scheme("emotion5", CASME2)
    assert table.classes == ("disgust", "happiness", "others", "repression", "surprise")
    assert counts(table, "casme2") == [63, 32, 99, 27, 25]
    assert "'fear' is none of the five of CASME II" in table.excluded["casme2/s1/fear0"]
    table = apply_scheme("emotion5", SAMM + SMIC)
    assert table.classes == ("anger", "contempt", "happiness", "other", "surprise")
    assert counts(table, "samm") == [57, 12, 26, 26, 15]
    assert table.excluded["smic/s1/negative0"] == "emotion5 is for CASME II or SAMM, not smic"


def test_emotion5_does_not_mix_two_lists_of_classes() -> None:
    with pytest.raises(InputError, match="five emotions of CASME II and another five of SAMM"):
        apply_scheme("emotion5", CASME2 + SAMM)
    assert apply_scheme("emotion5", SMIC).classes == ()


def test_an_action_unit_is_shown_or_not_and_uncoded_clips_are_left_out() -> None:
    cells = {"a": "4+7", "b": "14+17", "c": "1+2+4", "d": ""}
    annotations = [Annotation(f"samm/1/{n}", "samm", {"au": au}) for n, au in cells.items()]
    table = apply_scheme("au4", annotations)
    assert table.classes == ("without AU4", "AU4")
    assert table.index == {"samm/1/a": 1, "samm/1/b": 0, "samm/1/c": 1}
    assert table.excluded == {"samm/1/d": "no action units given"}
    assert apply_scheme("au1", annotations).index["samm/1/b"] == 0
    assert apply_scheme("au14", annotations).index["samm/1/b"] == 1


def test_each_of_the_twelve_action_units_has_a_scheme() -> None:
    assert [name for name in registry.SCHEMES if name.startswith("au")] == list(SCHEMES)
    for name, unit in SCHEMES.items():
        (table,) = (apply_scheme(name, [Annotation("c/s/n", "c", {"au": str(unit)})]),)
        assert table.scheme == name
        assert table.index == {"c/s/n": 1}
