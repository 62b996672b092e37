from __future__ import annotations

from pathlib import Path

import pytest

from mecli.clips import Clip
from mecli.errors import InputError


def test_a_clip_knows_its_id_its_person_and_where_it_is() -> None:
    clip = Clip("casme2", "sub01", "EP02_01f", (Path("a/img1.jpg"), Path("a/img2.jpg")))
    assert (clip.clip_id, clip.person) == ("casme2/sub01/EP02_01f", "casme2/sub01")
    assert clip.location == "a"
    assert Clip("c", "s", "n", Path("v.mp4")).location == "v.mp4"
    assert Clip("c", "s", "n", ()).location == "(no frames)"


@pytest.mark.parametrize(
    "name", ["", " ", "a/b", "..", ".", "a\\b", "a\nb", "x" * 201, " a", "\x7f"]
)
def test_a_name_that_could_escape_or_break_a_line_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"name .* cannot be part of a clip id"):
        Clip("c", "s", name, Path("v.mp4"))


@pytest.mark.parametrize("fps", [0.0, -1.0, 100_001.0, float("nan"), float("inf")])
def test_fps_is_positive(fps: float) -> None:
    with pytest.raises(InputError, match="clip c/s/n: fps is"):
        Clip("c", "s", "n", Path("v.mp4"), fps=fps)


def test_people_recorded_for_two_corpora_are_one_person() -> None:
    long, short = (Clip(c, "006", "n", Path("v.mp4")) for c in ("samm-lv", "samm"))
    assert long.person == short.person == "samm/006"
    assert Clip("casme2", "sub01", "n", Path("v.mp4")).person == "casme2/sub01"
