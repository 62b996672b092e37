"""Several writers of one cache, and the file systems they meet on."""

from __future__ import annotations

import errno
import fcntl
import os
from typing import TYPE_CHECKING

import pytest

from mecli.cache import add, combine, discard, merge, open_cache, parts_folder, waiting_keys
from mecli.errors import InputError, NotWritten
from mecli.repair import repair
from mecli.verify import VerifyOptions
from tests.records import make_record

if TYPE_CHECKING:
    from pathlib import Path

OPTIONS = {"steps": 4}


def test_a_clip_tried_again_during_a_merge_waits_for_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, reserve = tmp_path / "c.h5", os.posix_fallocate
    add(path, make_record().failed("no face"), "k", OPTIONS)

    def meanwhile(handle: int, start: int, length: int) -> None:
        add(path, make_record(), "k", OPTIONS)
        reserve(handle, start, length)

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", meanwhile)
        assert merge(path, OPTIONS) == 1
    assert waiting_keys(path) == {"k"}
    assert merge(path, OPTIONS) == 1
    assert not parts_folder(path).exists()
    with open_cache(path) as cache:
        assert cache.check("toy/s1/a").ok


def test_all_who_name_one_cache_by_links_meet_in_one_place(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    path, link = tmp_path / "far" / "c.h5", tmp_path / "link.h5"
    link.symlink_to(path)
    add(link, make_record(), "a", OPTIONS)
    assert waiting_keys(path) == waiting_keys(link) == {"a"}
    assert merge(link, OPTIONS) == 1
    add(path, make_record("toy/s1/b"), "b", OPTIONS)
    assert merge(link, OPTIONS) == 1
    assert link.is_symlink()
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["c.h5", "c.h5.lock", "far", "link.h5"]
    with open_cache(link) as cache:
        assert cache.clip_ids == ("toy/s1/a", "toy/s1/b")
    combine(link, lambda: (OPTIONS, {"toy/s1/a": path}))
    with open_cache(path) as cache:
        assert cache.clip_ids == ("toy/s1/a",)
    discard(link)
    assert (link.is_symlink(), path.exists()) == (True, False)


def test_a_parts_folder_that_is_a_link_is_refused_and_loses_nothing(tmp_path: Path) -> None:
    path, elsewhere = tmp_path / "c.h5", tmp_path / "elsewhere"
    add(path, make_record(), "a", OPTIONS)
    merge(path, OPTIONS)
    elsewhere.mkdir()
    (elsewhere / "mine.h5").write_text("precious")
    (tmp_path / "c.h5.parts").symlink_to(elsewhere)
    for use in (
        lambda: repair([path], VerifyOptions(jobs=0), apply=True),
        lambda: discard(path),
        lambda: merge(path, OPTIONS),
        lambda: add(path, make_record(), "b", OPTIONS),
    ):
        with pytest.raises(InputError, match=r"c\.h5\.parts: is a link, expected a folder of the"):
            use()
    assert [p.name for p in elsewhere.iterdir()] == ["mine.h5"]


def test_what_a_cache_is_combined_of_is_chosen_while_nobody_else_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "c.h5"
    add(path, make_record(), "a", OPTIONS)
    merge(path, OPTIONS)

    def choose() -> tuple[dict[str, int], dict[str, Path]]:
        with (
            path.with_name("c.h5.lock").open("a") as other,
            pytest.raises(BlockingIOError, match="unavailable"),
        ):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return OPTIONS, {"toy/s1/a": path}

    assert combine(path, choose) == 1


@pytest.mark.parametrize("name", [".", "/"])
def test_a_path_without_a_name_is_no_cache(name: str, tmp_path: Path) -> None:
    path = type(tmp_path)(name)
    for use in (lambda: merge(path, OPTIONS), lambda: discard(path), lambda: waiting_keys(path)):
        with pytest.raises(InputError, match="names no file, expected one for the cache"):
            use()


def test_a_file_system_without_locks_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.raises(NotWritten, match=r"c\.h5: cannot be written: No locks available"):
        merge(tmp_path / "c.h5", OPTIONS)


def test_a_system_that_reserves_no_room_gives_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = tmp_path / "one.h5", tmp_path / "two.h5"
    for path in (one, two):
        add(path, make_record(), "a", OPTIONS)
    merge(one, OPTIONS)
    monkeypatch.delattr(os, "posix_fallocate")
    merge(two, OPTIONS)
    assert two.read_bytes() == one.read_bytes()
