"""Flow archives in the shapes that people pass them on in, as `sources` takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mecli.corpora import frames
from mecli.corpora.sources import inspect_sources
from mecli.errors import InputError
from tests.miniatures import touch

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mecli.clips import Clip
    from mecli.corpora.reading import Reading

PLAIN = ("006_006_1_2 .png", "011_011_1_1 .png")
HEADER = "corpus,subject,clip,label"


def lay(root: Path, files: Iterable[str], *lines: str, table: str = "labels.csv") -> Path:
    for file in files:
        path = root / file
        touch(path.parent, [path.name])
    root.mkdir(exist_ok=True)
    if lines:
        (root / table).write_text("\n".join(lines) + "\n")
    return root


def read(root: Path) -> Reading:
    (reading,) = inspect_sources([root])
    return reading


def shown(root: Path) -> dict[str, list[str]]:
    return {clip.clip_id: files(clip, root) for clip in read(root).clips}


def files(clip: Clip, root: Path) -> list[str]:
    paths = clip.frames if isinstance(clip.frames, tuple) else (clip.frames,)
    return [str(path.relative_to(root)) for path in paths]


@pytest.mark.parametrize(
    "lines",
    [
        ("samm,006,006_1_2,0", "samm,011,011_1_1,1"),
        ("samm,6,006_1_2,NEGATIVE", "samm,11,011_1_1,Positive"),
        (HEADER, "SAMM,006,006_1_2,negative", "SAMM,011,011_1_1,positive"),
        (",dataset,sub,filename,label", "0,samm,6,006_1_2,0.0", "1,samm,11,011_1_1,1.0"),
        ("Dataset;Subject;Filename;Emotion", "samm;006;006_1_2;neg", "samm;011;011_1_1;pos"),
        (HEADER, "samm,sub006,006_1_2,0", "samm,sub011,011_1_1,1"),
        (f"{HEADER},file", *(f"samm,{p[:3]},{p[4:11]},{k},{p}" for k, p in enumerate(PLAIN))),
    ],
)
def test_a_table_may_call_things_as_it_likes(tmp_path: Path, lines: tuple[str, ...]) -> None:
    reading = read(lay(tmp_path, PLAIN, *lines))
    labels = {clip.clip_id: clip.labels["megc2019"] for clip in reading.clips}
    assert labels == {"samm/006/006_1_2": "negative", "samm/011/011_1_1": "positive"}
    assert [len(clip.frames) for clip in reading.clips] == [1, 1]  # type: ignore[arg-type]
    assert (reading.corpus, reading.notes) == ("flow-archive", ())
    assert all(clip.issues == () for clip in reading.clips)


@pytest.mark.parametrize(
    "images",
    [
        ("006_1_2.png", "011_1_1.png"),
        ("samm_006_006_1_2.png", "samm_011_011_1_1.png"),
        ("6_006_1_2.jpg", "11_011_1_1.jpg"),
        ("flow/006_006_1_2 .png", "flow/011_011_1_1 .png"),
        ("0/006_006_1_2 .png", "1/011_011_1_1 .png"),
        ("negative/006_1_2.png", "positive/011_1_1.png"),
        ("006/006_1_2.png", "011/011_1_1.png"),
        ("samm/006/006_1_2/flow.png", "samm/011/011_1_1/flow.png"),
        ("006_006_1_2.npy", "011_011_1_1.npy"),
    ],
)
def test_images_may_lie_as_they_like(tmp_path: Path, images: tuple[str, ...]) -> None:
    lay(tmp_path, images, HEADER, "samm,006,006_1_2,0", "samm,011,011_1_1,1")
    assert shown(tmp_path) == {
        "samm/006/006_1_2": [images[0]],
        "samm/011/011_1_1": [images[1]],
    }
    assert read(tmp_path).notes == ()


@pytest.mark.parametrize(
    ("u", "v"),
    [
        ("006_1_2_u.png", "006_1_2_v.png"),
        ("u/006_1_2.png", "v/006_1_2.png"),
        ("006/006_1_2/flow_x.png", "006/006_1_2/flow_y.png"),
        ("006_006_1_2_u.npy", "006_006_1_2_v.npy"),
    ],
)
def test_u_and_v_may_be_files_of_their_own(tmp_path: Path, u: str, v: str) -> None:
    strain = u.replace("flow_x", "strain").replace("u/", "strain/").replace("_u.", "_strain.")
    lay(tmp_path, (u, v, strain), HEADER, "samm,006,006_1_2,0")
    reading = read(tmp_path)
    (clip,) = reading.clips
    assert clip.apart
    assert files(clip, tmp_path) == [u, v]
    assert reading.notes == ()


def test_archives_of_several_corpora_in_one_folder_all_count(tmp_path: Path) -> None:
    lay(tmp_path / "casme2", ["sub01_EP02_01f .png"], "casme2,sub01,EP02_01f,1")
    lay(tmp_path / "samm", ["006_006_1_2 .png"], "samm,006,006_1_2,0")
    lay(tmp_path / "smic", ["s1_s1_ne_01 .png"], HEADER, "smic,s1,s1_ne_01,0")
    ids = ["casme2/sub01/EP02_01f", "samm/006/006_1_2", "smic/s01/s1_ne_01"]
    assert list(shown(tmp_path)) == ids
    assert all(shown(tmp_path).values())


def test_tables_beside_one_another_add_up(tmp_path: Path) -> None:
    lay(tmp_path, ["sub01_a.png"], "casme2,sub01,a,1", table="casme2.csv")
    lay(tmp_path, ["006_006_1_2 .png"], "samm,006,006_1_2,0", "casme2,sub01,a,0", table="samm.csv")
    assert list(shown(tmp_path)) == ["casme2/sub01/a", "samm/006/006_1_2"]
    note = "row 2 was not read: it is casme2/sub01/a once more, with another label"
    assert read(tmp_path).notes == (note,)


def test_one_table_may_list_folders_of_corpora_whose_names_collide(tmp_path: Path) -> None:
    images = ("casme2/1_a.png", "smic/1_a.png", "smic/2_b.png")
    lay(tmp_path, images, HEADER, "casme2,1,a,0", "smic,1,a,1", "smic,2,b,2")
    assert shown(tmp_path) == {
        "casme2/sub01/a": ["casme2/1_a.png"],
        "smic/s01/a": ["smic/1_a.png"],
        "smic/s02/b": ["smic/2_b.png"],
    }


def test_a_table_in_its_own_folder_is_above_no_image(tmp_path: Path) -> None:
    lay(tmp_path, ["images/006_006_1_2 .png"])
    lay(tmp_path / "tables", (), HEADER, "samm,006,006_1_2,0")
    assert shown(tmp_path) == {"samm/006/006_1_2": ["images/006_006_1_2 .png"]}


def test_nobody_gets_the_image_of_another_person(tmp_path: Path) -> None:
    lay(tmp_path, ["s2/a.png", "b.png"], HEADER, "x,s1,a,0", "x,s2,c,1", "x,s1,b,0", "x,s2,b,1")
    clips = {clip.clip_id: clip for clip in read(tmp_path).clips}
    assert all(clip.frames == () for clip in clips.values())
    assert clips["x/s1/a"].issues == (f"no image 's1_a .png' in {tmp_path}",)
    assert clips["x/s2/b"].issues == (f"no image of its own in {tmp_path}: b fits x/s1/b too",)


def test_two_images_that_fit_alike_are_told(tmp_path: Path) -> None:
    lay(tmp_path, ["old/s1_a.png", "new/s1_a.png"], HEADER, "x,s1,a,0")
    (clip,) = read(tmp_path).clips
    assert clip.frames == ()
    assert "2 fit, new/s1_a and old/s1_a" in clip.issues[0]


def test_a_corpus_that_no_column_names_is_that_of_the_folder(tmp_path: Path) -> None:
    root = lay(tmp_path / "SAMM_flow", ["006_006_1_2.png"], "subject,clip,label", "006,006_1_2,0")
    assert list(shown(root)) == ["samm/006/006_1_2"]
    other = lay(tmp_path / "mine", ["1_a.png"], "subject,clip,label", "1,a,0")
    with pytest.raises(InputError, match=r"labels\.csv: row 2 names no corpus; add a column 'corp"):
        read(other)


def test_own_words_stay_the_emotion_and_odd_ones_are_told(tmp_path: Path) -> None:
    lay(tmp_path, PLAIN, HEADER, "samm,006,006_1_2,Contempt", "samm,011,011_1_1,3")
    first, second = read(tmp_path).clips
    assert (first.labels, first.issues) == ({"emotion": "contempt"}, ())
    assert second.issues == ("label '3' is none of 0, 1, 2 or negative, positive, surprise",)


@pytest.mark.parametrize(
    "header", ["clip,subject,corpus,label,prediction", "corpus,subject,clip,label,onset"]
)
def test_other_tables_beside_images_are_no_label_tables(tmp_path: Path, header: str) -> None:
    cells = "samm/006/006_1_2,006,samm,0,1" if "prediction" in header else "samm,006,006_1_2,0,1"
    lay(tmp_path, PLAIN, header, cells, table="other.csv")
    lay(tmp_path, (), HEADER, "samm,011,011_1_1,1")
    assert list(shown(tmp_path)) == ["samm/011/011_1_1"]


def test_an_official_list_beside_faces_makes_them_no_flow(tmp_path: Path) -> None:
    lay(tmp_path, ["happy/p1/c1/img46.jpg"], HEADER, "x,p1,c1,1", table="megc.csv")
    assert read(tmp_path).corpus == tmp_path.name


def test_ready_made_folds_give_each_clip_once(tmp_path: Path) -> None:
    tested = ["006/u_test/0/006_1_2.png", "sub01/u_test/1/sub01_EP02_01f.png"]
    tested += ["s03/u_test/2/s03_sur_01.png", "s03/u_test/2/s03_sur_01_1.png"]
    trained = ["006/u_train/1/sub01_EP02_01f.png", "sub01/u_train/0/006_1_2.png"]
    lay(tmp_path, [*tested, *trained])
    reading = read(tmp_path)
    assert shown(tmp_path) == {
        "casme2/sub01/EP02_01f": [tested[1]],
        "samm/006/006_1_2": [tested[0]],
        "smic/s03/s03_sur_01": tested[2:],
    }
    assert [clip.labels["megc2019"] for clip in reading.clips] == [
        "positive",
        "negative",
        "surprise",
    ]
    assert (reading.corpus, reading.notes, reading.sheet) == ("flow-archive", (), None)


def test_folders_of_classes_need_no_table(tmp_path: Path) -> None:
    lay(tmp_path, ["0/006_006_1_2 .png", "0/006_006_1_2_1 .png", "2/s3_sur_01.png"])
    assert shown(tmp_path) == {
        "samm/006/006_1_2": ["0/006_006_1_2 .png", "0/006_006_1_2_1 .png"],
        "smic/s03/s3_sur_01": ["2/s3_sur_01.png"],
    }


def test_frames_in_folders_that_are_called_1_and_2_are_no_flow(tmp_path: Path) -> None:
    lay(tmp_path, ["1/006_05562.jpg", "1/006_05563.jpg", "2/001.jpg", "2/002.jpg"])
    assert read(tmp_path).corpus == "loose"


def test_a_table_that_cannot_be_read_is_told_beside_images_alone(tmp_path: Path) -> None:
    lay(tmp_path, ["happy/p1/c1/img46.jpg"])
    (tmp_path / "notes.csv").write_bytes(b"\xff\xfe")
    assert read(tmp_path).corpus == tmp_path.name
    lay(tmp_path, PLAIN)
    with pytest.raises(InputError, match=r"notes\.csv: is not UTF-8"):
        read(tmp_path)


def test_a_folder_that_cannot_be_listed_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(tmp_path, ["0/006_006_1_2 .png"])
    (tmp_path / "private").mkdir()
    listed = frames._list

    def closed(folder: Path) -> frames.Listing:
        if folder.name == "private":
            raise InputError(f"{folder}: cannot be listed: Permission denied")
        return listed(folder)

    monkeypatch.setattr(frames, "_list", closed)
    assert list(shown(tmp_path)) == ["samm/006/006_1_2"]
    (said,) = read(tmp_path).notes
    assert said.endswith("private: cannot be listed: Permission denied")
