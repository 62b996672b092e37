"""Every corpus in the registry is held to the same contract, by its miniature."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mecli import registry
from mecli.corpora.corrections import CORRECTIONS
from mecli.corpora.frames import Disk
from mecli.corpora.reading import CorpusReader
from mecli.corpora.sources import inspect_sources, read_sources, reader, recognise
from mecli.errors import InputError
from tests.miniatures import MINIATURES

NAMES = sorted(MINIATURES)


def canonical(name: str) -> str:
    return "synth" if name == "sample_data" else name


def recognises(name: str, root: Path) -> bool:
    disk = Disk()
    return reader(name).has_sheet(disk, root) or reader(name).has_layout(disk, root)


def test_every_corpus_has_a_miniature() -> None:
    assert {canonical(name) for name in registry.CORPORA} == set(MINIATURES)


@pytest.mark.parametrize("name", NAMES)
def test_reader_says_who_it_is(name: str) -> None:
    entry = registry.load("corpus", name)
    assert isinstance(entry(), CorpusReader)
    assert entry.name == name
    assert entry.title
    assert entry.paper
    assert entry.doi.startswith("10.") or entry.doi == "none"
    assert entry.licence


@pytest.mark.parametrize("name", NAMES)
def test_only_its_own_reader_recognises_a_corpus(name: str, tmp_path: Path) -> None:
    root = MINIATURES[name](tmp_path)
    recognised = recognise(root)
    assert recognised is not None
    assert canonical(recognised) == name
    assert {n for n in NAMES if recognises(n, root)} == {name}


@pytest.mark.parametrize("name", NAMES)
def test_empty_folder_is_no_corpus_and_asks_for_the_sheet(name: str, tmp_path: Path) -> None:
    assert not recognises(name, tmp_path)
    with pytest.raises(InputError, match=r"found|expected"):
        read_sources([tmp_path], corpus=name)


@pytest.mark.parametrize("name", NAMES)
def test_clips_are_sorted_unique_and_placed_within_their_frames(name: str, tmp_path: Path) -> None:
    (reading,) = inspect_sources([MINIATURES[name](tmp_path)])
    clips = reading.clips
    ids = [c.clip_id for c in clips]
    assert ids == sorted(set(ids))
    assert reading.corpus == name
    for clip in clips:
        assert name in {"flow-archive", clip.corpus}
        assert all(isinstance(k, str) and isinstance(v, str) for k, v in clip.labels.items())
        moments = [m for m in (clip.onset, clip.apex, clip.offset) if m is not None]
        assert moments == sorted(moments)
        if isinstance(clip.frames, tuple) and clip.frames:
            assert all(0 <= m < len(clip.frames) for m in moments)
        paths = (clip.frames,) if isinstance(clip.frames, Path) else clip.frames
        assert all(path.is_file() for path in paths)


@pytest.mark.parametrize("name", NAMES)
def test_reading_does_not_depend_on_the_order_of_the_disk(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = MINIATURES[name](tmp_path)
    first = registry.load("corpus", name)().inspect(root).clips
    scandir = os.scandir

    class Backwards:
        def __init__(self, path: Path) -> None:
            with scandir(path) as entries:
                self.entries = sorted(entries, key=lambda e: e.name, reverse=True)

        def __enter__(self) -> list[os.DirEntry[str]]:
            return self.entries

        def __exit__(self, *_: object) -> None:
            return None

    monkeypatch.setattr(os, "scandir", Backwards)
    assert registry.load("corpus", name)().inspect(root).clips == first


@pytest.mark.parametrize("name", NAMES)
def test_corpus_nested_once_more_is_read_the_same(name: str, tmp_path: Path) -> None:
    flat = MINIATURES[name](tmp_path / "flat")
    nested = MINIATURES[name](tmp_path / "deep" / "flat")
    clips = read_sources([nested.parent])
    assert [c.clip_id for c in clips] == [c.clip_id for c in read_sources([flat])]
    assert [c.issues for c in clips] == [
        tuple(i.replace(str(flat), str(nested)) for i in c.issues) for c in read_sources([flat])
    ]


@pytest.mark.parametrize("name", NAMES)
def test_an_image_folder_is_listed_once(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = MINIATURES[name](tmp_path)
    seen: list[str] = []
    scandir = os.scandir

    def counted(path: Path) -> object:
        seen.append(str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", counted)
    read_sources([root])
    assert len(seen) == len(set(seen))


def test_corrections_name_registered_corpora_and_their_source() -> None:
    for clip_id, corrections in CORRECTIONS.items():
        assert clip_id.split("/")[0] in registry.CORPORA
        assert all(c.source and c.published != c.corrected for c in corrections)


def test_as_published_is_an_argument_of_every_reader() -> None:
    assert all(reader(name, as_published=True) for name in NAMES)
