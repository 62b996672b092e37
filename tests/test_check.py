"""What `mecli check` says of whole, damaged and doubled corpora."""

from __future__ import annotations

import io
import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from mecli import cli
from mecli.check import CheckOptions, check
from mecli.errors import InputError, UnknownName
from mecli.report.check import to_json, to_text
from tests.miniatures import MINIATURES, frames

if TYPE_CHECKING:
    from pathlib import Path

    from mecli.report.check import SourceCheck


def corpus(name: str, root: Path) -> Path:
    """A miniature whose frames hold bytes, each file its own."""
    top = MINIATURES[name](root)
    for path in root.rglob("*"):
        if path.is_file() and path.stat().st_size == 0:
            path.write_text(str(path))
    return top


def only(root: Path, **options: Any) -> SourceCheck:
    (source,) = check([root], CheckOptions(**options)).sources
    return source


def run(*arguments: str, stdin: str = "") -> Any:
    return CliRunner().invoke(cli.app, ["check", *arguments], input=stdin)


@pytest.mark.parametrize("name", sorted(MINIATURES))
def test_every_corpus_is_recognised_counted_and_licensed(name: str, tmp_path: Path) -> None:
    root = corpus(name, tmp_path / "data")
    result = check([root])
    found = to_json(result)["sources"][0]
    assert found["corpus"] == name
    assert found["title"]
    assert found["licences"][name]
    by_subject = found["classes_by_subject"]
    assert len(by_subject) == found["subjects"]
    assert sum(n for classes in by_subject.values() for n in classes.values()) == found["clips"]
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert f"{found['clips']} of " in to_text(result)


def test_nothing_is_decoded(tmp_path: Path) -> None:
    source = only(corpus("smic", tmp_path / "data"))
    assert source.missing == {}
    assert source.reading.form == "HS cropped"


def test_missing_frames_and_odd_cells_are_told_apart(tmp_path: Path) -> None:
    root = corpus("casme2", tmp_path / "data")
    source = only(root)
    assert source.missing == {
        "casme2/sub26/EP09f": ("offset frame 30 is not on disk (frames 10 to 28); 28 is taken",)
    }
    assert source.odd["casme2/sub04/EP12_01f"] == ("apex unknown ('/')",)
    assert any("corrected from '68'" in text for text in source.odd["casme2/sub07/EP06_01"])
    published = only(root, as_published=True)
    assert not any("corrected" in text for text in published.odd["casme2/sub07/EP06_01"])


def test_a_removed_folder_a_gap_and_an_empty_file_are_missing_frames(tmp_path: Path) -> None:
    root = corpus("samm", tmp_path / "data")
    assert only(root).missing == {}
    folders = {p.name: p for p in root.rglob("*_*_*") if p.is_dir()}
    shutil.rmtree(folders["028_4_1"])
    images = sorted(folders["006_1_2"].iterdir())
    images[3].unlink()
    images[5].write_bytes(b"")
    images[6].write_bytes(b"")
    source = only(root)
    assert source.missing["samm/028/028_4_1"] == ("no frames on disk",)
    gap, empty = source.missing["samm/006/006_1_2"]
    assert "1 frame(s) missing" in gap
    assert empty == f"empty file: {images[5].name} and 1 more"
    assert not check([root]).clean


def test_a_file_that_goes_away_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("path,subject\nclip.mp4,s1\n")
    (tmp_path / "clip.mp4").write_bytes(b"x")
    assert check([tmp_path / "data.csv"]).clean
    (tmp_path / "clip.mp4").unlink()
    result = check([tmp_path / "data.csv"])
    assert list(result.sources[0].missing) == ["data/s1/clip"]
    assert not result.clean


def test_odd_cells_and_differences_alone_are_clean_unless_strict(tmp_path: Path) -> None:
    root = corpus("flow-archive", tmp_path / "data")
    assert only(root).reading.notes == ("s99_s99_po_01 .png is on disk but in no row",)
    assert check([root]).clean
    assert not check([root], CheckOptions(strict=True)).clean
    licences = dict(only(root).licences)
    assert set(licences) == {"flow-archive", "casme2", "smic"}


def test_one_clip_in_two_sources_is_a_duplicate(tmp_path: Path) -> None:
    one = corpus("smic", tmp_path / "one")
    two = tmp_path / "two"
    shutil.copytree(one, two)
    result = check([one, two])
    assert len(result.sources) == 2
    assert any(text.startswith("smic/s01/s01_ne_01 is in ") for text in result.duplicates)
    assert not result.clean


def test_a_copy_under_another_name_is_a_duplicate_and_equal_sizes_alone_are_not(
    tmp_path: Path,
) -> None:
    for name, data in (("a", b"11111"), ("b", b"22222"), ("c", b"11111")):
        folder = tmp_path / "top" / "happy" / f"s_{name}" / "clip"
        folder.mkdir(parents=True)
        for number in range(3):
            (folder / f"{number}.png").write_bytes(data + bytes([number]))
    result = check([tmp_path / "top"])
    assert result.duplicates == (
        "top/s_c/happy_clip is a copy of top/s_a/happy_clip: the same bytes in its frames",
    )


def test_one_recording_annotated_twice_alike_is_a_duplicate(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"x")
    rows = ["path,subject,clip,onset,offset"]
    rows += ["clip.mp4,s,a,1,5", "clip.mp4,s,b,1,5", "clip.mp4,s,c,6,9"]
    (tmp_path / "list.csv").write_text("\n".join(rows) + "\n")
    assert check([tmp_path / "list.csv"]).duplicates == (
        "list/s/b has the frames, onset and offset of list/s/a",
    )


def test_one_bad_source_of_several_does_not_stop_the_others(tmp_path: Path) -> None:
    good = corpus("mmew", tmp_path / "good")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no images"):
        check([tmp_path / "empty"])
    result = check([tmp_path / "empty", good])
    assert len(result.sources) == 1
    assert list(result.failures) == [str(tmp_path / "empty")]
    assert "not read (1)" in to_text(result)
    with pytest.raises(UnknownName, match="did you mean 'casme2'"):
        check([good], CheckOptions(corpus="casme-2"))


def test_classes_are_counted_against_what_the_owners_publish(tmp_path: Path) -> None:
    for emotion, short, clips in (("negative", "ne", 70), ("positive", "po", 51)):
        for clip in range(clips):
            folder = tmp_path / "HS" / "s1" / "micro" / emotion / f"s1_{short}_{clip}"
            frames(folder, 1, 1, "image{:06d}.bmp")
    (source,) = check([tmp_path]).sources
    assert source.published == ("surprise: 43 published, 0 here",)
    assert "surprise: 43 published, 0 here" in to_text(check([tmp_path]))
    for clip in range(43):
        folder = tmp_path / "HS" / "s2" / "micro" / "surprise" / f"s2_sur_{clip}"
        frames(folder, 1, 1, "image{:06d}.bmp")
    whole = check([tmp_path])
    assert whole.sources[0].published == ()
    assert "as many clips of each class" in to_text(whole)
    (tmp_path / "HS").rename(tmp_path / "VIS")
    assert check([tmp_path]).sources[0].published is None


def test_long_tables_are_cut_and_say_so(tmp_path: Path) -> None:
    rows = [f"clip{n}.mp4,s{n:02d}" for n in range(60)]
    (tmp_path / "list.csv").write_text("\n".join(["path,subject", *rows]) + "\n")
    text = to_text(check([tmp_path / "list.csv"]))
    assert "20 more " in text
    assert "… and 40 more (all with --json)" in text


def test_the_command_leaves_with_0_or_3_and_reads_a_list(tmp_path: Path, sample: Path) -> None:
    text = run(str(sample))
    assert text.exit_code == 0, text.stdout
    assert "synthetic sample clips" in text.stdout
    assert "CC0 1.0" in text.stdout
    damaged = corpus("casme2", tmp_path / "data")
    listed = run("-", "--json", stdin=f"{sample}\n{damaged}\n")
    assert listed.exit_code == 3
    document = json.loads(listed.stdout)
    assert document["clean"] is False
    assert [s["corpus"] for s in document["sources"]] == ["synth", "casme2"]
    assert run(str(tmp_path / "nowhere")).exit_code == 3


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    root = corpus("smic", tmp_path / "data")
    check(["-"], stdin=io.StringIO(f"{root}\n"), progress=lambda *p: told.append(p))
    assert told == [(1, 1, str(root))]
