from __future__ import annotations

import contextlib
import errno
import io
import os
import threading
import time
from pathlib import Path

import pytest

from mecli import files
from mecli.errors import InputError, NotWritten
from mecli.files import is_refusal, lines, not_written, read_json, read_text, write_json, write_text


def test_a_file_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.json"
    write_json(path, {"ä": [1, 2.5, None]})
    assert read_json(path) == {"ä": [1, 2.5, None]}
    write_text(path, "[]")
    assert read_json(path) == []
    assert [p.name for p in path.parent.iterdir()] == ["a.json"]


@pytest.mark.parametrize("word", ["NaN", "[Infinity]", '{"a": -Infinity}'])
def test_what_no_json_of_ours_holds_is_refused(tmp_path: Path, word: str) -> None:
    (tmp_path / "a.json").write_text(word)
    with pytest.raises(InputError, match=r"a\.json: cannot be read as JSON: \S+ is no number"):
        read_json(tmp_path / "a.json")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, 1)
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, float("nan"))
    assert read_json(path) == 1


def test_what_the_system_refuses_is_said_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(NotWritten, match=r"a/b\.json: cannot be written: (Not a|File exists)"):
        write_json(tmp_path / "a" / "b.json", 1)
    full = not_written(OSError(errno.ENOSPC, "No space left on device"), "c.h5")
    assert str(full) == (
        "c.h5: cannot be written: No space left on device; make room and run the same command "
        "again, what is finished is kept"
    )
    closed = OSError(errno.EROFS, "Read-only file system")
    assert "name another place" in str(not_written(closed, "c.h5"))
    assert [is_refusal(e) for e in (closed, OSError(errno.EIO, "I/O error"))] == [True, False]


def test_what_is_no_text_of_any_size_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with path.open("wb") as file:
        file.truncate(100 << 30)
    with pytest.raises(InputError, match=r"a\.csv: is 102400 MiB, expected at most 64 MiB of text"):
        read_text(path)
    with pytest.raises(InputError, match="expected at most 256 MiB"):
        read_json(path)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(InputError, match="is not a regular file"):
        read_text(tmp_path / "fifo")
    with pytest.raises(InputError, match="cannot be read: Not a directory"):
        read_text(path / "inside")


def test_a_line_without_an_end_is_not_awaited() -> None:
    assert list(lines(io.StringIO("a\nb"), "-")) == ["a\n", "b"]
    with Path("/dev/zero").open() as zeros, pytest.raises(InputError, match="-: has a line of"):
        next(lines(zeros, "-"))


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "\udcff"])
def test_broken_json_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(InputError, match=r"a\.json: cannot be read as JSON"):
        read_json(path)
    with pytest.raises(InputError, match="no such file"):
        read_json(tmp_path / "none")


def test_folders_are_made_one_in_another_and_are_left_alone(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b" / "c"
    files.make_folder(deep)
    (deep / "x").touch()
    files.make_folder(deep)
    assert [p.name for p in deep.iterdir()] == ["x"]
    with pytest.raises(FileExistsError):
        files.make_folder(deep / "x")


def test_a_folder_may_be_removed_under_a_writer_as_often_as_it_is_empty(tmp_path: Path) -> None:
    folder, done = tmp_path / "c.h5.parts", threading.Event()

    def sweep() -> None:
        while not done.is_set():
            with contextlib.suppress(OSError):
                folder.rmdir()
            time.sleep(0.002)

    sweeper = threading.Thread(target=sweep)
    sweeper.start()
    try:
        for number in range(100):
            files.write_bytes(folder / str(number), b"x")
            (folder / str(number)).unlink()
    finally:
        done.set()
        sweeper.join()


def test_a_name_that_is_no_text_is_escaped_and_read_back(tmp_path: Path) -> None:
    name = os.fsdecode(b"bad\xff.mp4")
    write_text(tmp_path / "a.csv", name)
    write_json(tmp_path / "a.json", {"source": name})
    assert (tmp_path / "a.csv").read_bytes() == b"bad\\udcff.mp4"
    assert read_json(tmp_path / "a.json") == {"source": name}
