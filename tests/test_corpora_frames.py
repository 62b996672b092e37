"""Frame numbers come from file names, positions from what is on disk."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mecli.corpora.frames import (
    Disk,
    Numbered,
    check_source,
    last_integer,
    missing_numbers,
    natural_key,
)
from mecli.corpora.moments import place_moments
from mecli.errors import InputError
from tests.miniatures import frames, touch


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("img46.jpg", 46),
        ("reg_img46.jpg", 46),
        ("006_05562.jpg", 5562),
        ("EP01_12-073.jpg", 73),
        ("15_0101disgustingteeth_img001.jpg", 1),
        ("image559740.bmp", 559740),
        ("cover.jpg", None),
        ("frame7.tar.jp2", 7),
    ],
)
def test_last_integer_of_a_file_name_is_the_frame_number(name: str, number: int | None) -> None:
    assert last_integer(name) == number


def test_names_sort_by_their_numbers() -> None:
    names = ["img10.jpg", "img9.jpg", "Img1.jpg", "img09.jpg", "a", "1"]
    assert sorted(names, key=natural_key) == [
        "1",
        "a",
        "Img1.jpg",
        "img09.jpg",
        "img9.jpg",
        "img10.jpg",
    ]


@given(st.sets(st.text(max_size=12), max_size=12))
def test_no_two_names_sort_as_equal(names: set[str]) -> None:
    assert len({natural_key(name) for name in names}) == len(names)


def test_listing_leaves_out_hidden_files_fifos_and_circular_links(tmp_path: Path) -> None:
    touch(tmp_path, ["img2.jpg", "img10.JPG", "._img1.jpg", "a.avi", "Thumbs.db", "~$codes.xlsx"])
    (tmp_path / "clip").mkdir()
    os.mkfifo(tmp_path / "img3.jpg")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    inside = Disk().listing(tmp_path)
    assert inside.images == ("img10.JPG", "img2.jpg")
    assert [p.name for p in inside.videos] == ["a.avi"]
    assert [p.name for p in inside.others] == ["Thumbs.db"]
    assert [p.name for p in inside.folders] == ["clip"]


def test_a_folder_is_listed_once(tmp_path: Path) -> None:
    disk = Disk()
    assert not disk.listing(tmp_path).images
    touch(tmp_path, ["img1.jpg"])
    assert not disk.listing(tmp_path).images


def test_folder_that_cannot_be_listed_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent: cannot be listed: No such file"):
        Disk().listing(tmp_path / "absent")


def test_child_is_found_whatever_its_case(tmp_path: Path) -> None:
    (tmp_path / "Sub01 ").mkdir()
    touch(tmp_path, ["EP02_01F.AVI"])
    disk = Disk()
    assert disk.child(tmp_path, "sub01") == tmp_path / "Sub01 "
    assert disk.child(tmp_path, "Sub01 ") == tmp_path / "Sub01 "
    assert disk.child(tmp_path, "EP02_01f") == tmp_path / "EP02_01F.AVI"
    assert disk.child(tmp_path, "sub02") is None


def test_folder_nested_in_its_own_name_is_entered(tmp_path: Path) -> None:
    inner = frames(tmp_path / "CASME2-RAW" / "casme2_raw" / "sub01", 1, 2).parent
    assert Disk().unnest(tmp_path / "CASME2-RAW") == inner
    assert Disk().unnest(tmp_path) == tmp_path


def test_walk_goes_past_a_stray_image_and_no_deeper_than_asked(tmp_path: Path) -> None:
    frames(tmp_path / "a" / "b", 1, 2)
    touch(tmp_path / "a", ["cover.jpg"])
    (tmp_path / "a" / "b" / "c" / "d").mkdir(parents=True)
    assert [p.name for p in Disk().walk(tmp_path, 3)] == [tmp_path.name, "a", "b", "c"]


def images(*names: str) -> Numbered:
    with tempfile.TemporaryDirectory() as folder:
        found = Disk().numbered(touch(Path(folder), names))
        assert isinstance(found.frames, tuple)
        return replace(found, frames=tuple(Path(path.name) for path in found.frames))


def test_doubled_and_unnumbered_images_are_left_out_and_said() -> None:
    found = images("img2.jpg", "img10.jpg", "img2 - Copy.jpg", "img02.jpg", "cover.jpg", "img3.jpg")
    assert found.numbers == (2, 3, 10)
    assert [str(p) for p in found.frames] == ["img2.jpg", "img3.jpg", "img10.jpg"]  # type: ignore[union-attr]
    assert found.issues[0] == "image without a frame number left out: cover.jpg"
    assert found.issues[1] == "second image of a frame number left out: img02.jpg and 1 more"
    assert found.issues[2] == "6 frame(s) missing between 2 and 10, first after 3"


def test_images_without_any_number_count_from_one() -> None:
    assert images("a.jpg", "b.jpg") == Numbered((Path("a.jpg"), Path("b.jpg")), (1, 2))


def test_every_other_frame_is_no_gap() -> None:
    assert images("1.jpg", "3.jpg", "5.jpg").issues == ()
    assert images().numbers == ()


def place(found: Numbered, *numbers: float | None) -> tuple[list[int | None], list[str]]:
    issues: list[str] = []
    known = dict(zip(("onset", "apex", "offset"), numbers, strict=True))
    return list(place_moments(found, known, issues).values()), issues


def selected() -> Numbered:
    return images(*(f"img{n}.jpg" for n in range(46, 87)))


def test_numbers_become_positions() -> None:
    assert place(selected(), 46, 59, 86) == ([0, 13, 40], [])
    assert place(Numbered(Path("a.avi")), 46, None, 86) == ([45, None, 85], [])


def test_numbers_outside_the_frames_are_clamped_and_said() -> None:
    positions, issues = place(selected(), 44, 59, 90)
    assert positions == [0, 13, 40]
    assert issues == [
        "onset frame 44 is not on disk (frames 46 to 86); 46 is taken",
        "offset frame 90 is not on disk (frames 46 to 86); 86 is taken",
    ]
    assert place(Numbered(Path("a.avi")), 0, None, 9)[1] == [
        "onset frame 0 is before the first frame 1; 1 is taken"
    ]


def test_number_inside_a_gap_goes_to_the_frame_before() -> None:
    positions, issues = place(images("1.jpg", "2.jpg", "5.jpg", "6.jpg"), 1, 4, 6)
    assert positions == [0, 1, 3]
    assert issues == ["apex frame 4 is not on disk (frames 1 to 6); 2 is taken"]


def test_half_frames_are_rounded_down_and_said() -> None:
    assert place(selected(), 46, 59.5, 86) == ([0, 13, 40], ["apex frame is 59.5, taken as 59"])


def test_interval_that_is_wholly_absent_becomes_unknown() -> None:
    positions, issues = place(images("1.jpg", "41.jpg"), 46, 59, 86)
    assert positions == [None, None, None]
    assert issues == ["annotated frames 46 to 86 are not on disk, which has 1 to 41"]


def test_offset_before_onset_and_apex_outside_become_unknown() -> None:
    assert place(selected(), 60, 70, 50) == (
        [14, 24, None],
        ["offset 50 is before onset 60; offset taken as unknown"],
    )
    assert place(selected(), 46, 86, 80) == (
        [0, None, 34],
        ["apex 86 is outside 46 to 80; apex taken as unknown"],
    )
    assert place(selected(), None, 86, 80)[0] == [None, None, 34]
    assert place(selected(), 60, 50, None)[0] == [14, None, None]


def test_apex_on_the_onset_is_kept_and_said() -> None:
    assert place(selected(), 50, 50, 80) == ([4, 4, 34], ["apex 50 is the onset"])


def test_source_that_is_no_file_or_folder_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(InputError, match=r"pipe\.mp4: is neither a regular file nor a folder"):
        check_source(tmp_path / "pipe.mp4")
    with pytest.raises(InputError, match=r"absent: No such file or directory; expected a folder"):
        check_source(tmp_path / "absent")
    with pytest.raises(InputError, match=r"null"):
        check_source(tmp_path / "a\0b")


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        (["a1.png", "a2.png", "a3.png"], 0),
        (["a1.png", "a2.png", "a6.png", "a8.png"], 4),
        (["2.jpg", "4.jpg", "6.jpg"], 0),
        (["onset.png", "apex.png", "a9.png"], 0),
        (["3.png", "1.png", "9.png"], 0),
        (["1.png"], 0),
    ],
)
def test_numbers_in_names_tell_what_is_missing(names: list[str], missing: int) -> None:
    assert missing_numbers(map(Path, names)) == missing
