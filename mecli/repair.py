"""The verb ``repair``: take out what is damaged, so that the verb that made it makes it anew."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TextIO

from mecli import files
from mecli.cache import PARTS, combine, open_cache, parts_folder
from mecli.errors import InputError
from mecli.merge import merge_caches
from mecli.report.caches import Repaired
from mecli.training import folder
from mecli.verify import VerifyOptions, verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from mecli.report.caches import Verified

_ASIDE = ".damaged"
_CHECKPOINT = ".safetensors"


class _Step(NamedTuple):
    """One change of the disk, in words and as a deed."""

    words: str
    do: Callable[[], object]


def repair(
    named: Sequence[str | Path],
    options: VerifyOptions | None = None,
    *,
    apply: bool = False,
    stdin: TextIO | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> list[Repaired]:
    """Return what is damaged in caches and runs and how it is mended; do so with `apply`.

    Damaged clips leave their cache, which is written anew; a cache that cannot be read is
    set aside and rebuilt from the parts beside it; damaged files of a run are set aside, a
    fold's result together with its weights. What is whole stays.
    """
    gone = [Path(n) for n in named if not Path(n).exists() and _parts(Path(n))]
    looked = [n for n in named if Path(n) not in gone]
    looked += [part for cache in gone for part in _parts(cache)]
    found = verify(looked, options, stdin=stdin, progress=progress)
    unread = {v.path for v in found if v.problems and not v.bad}
    mended = [_mend(v, apply) for v in found if v.problems]
    for cache in [*gone, *(v.path for v in found if v.path in unread)]:
        if set(_parts(cache)) - unread:
            steps = [_Step(f"{cache}: rebuild from the parts beside it", _merging(cache))]
            mended.append(_told(cache, (), steps, apply))
    return mended


def _parts(cache: Path) -> list[Path]:
    return sorted(parts_folder(cache).glob("[!.]*.h5"))


def _mend(found: Verified, apply: bool) -> Repaired:
    path = found.path
    if path.is_dir():
        steps = list(_of_run(path, found.bad)) if _is_described(path) else []
    elif path.suffix == _CHECKPOINT:
        steps = []
    elif path.parent.name.endswith(PARTS):
        steps = [_Step(f"{path}: remove", path.unlink)]
    elif found.bad:
        words = f"{path}: drop {len(found.bad)} of {found.read} clips: {', '.join(found.bad)}"
        steps = [_Step(words, _dropping(path, found.bad))]
    else:
        steps = [_aside(path)]
    return _told(path, found.problems, steps, apply)


def _of_run(run: Path, bad: Iterable[str]) -> Iterator[_Step]:
    """Set damaged files aside; a fold is its result and its weights."""
    paths = {Path(name) for name in bad}
    if not paths:  # only not complete
        yield _Step(f"{run}: nothing has to go", lambda: None)
    folds = {path for path in paths if path.parent.parent.name == "folds"}
    for path in sorted(folds):
        paths |= {path.with_suffix(suffix) for suffix in (".json", _CHECKPOINT)}
    yield from (_aside(path) for path in sorted(paths) if path.exists())


def _aside(path: Path) -> _Step:
    aside = path.with_name(path.name + _ASIDE)
    return _Step(f"{path}: set aside as {aside.name}", lambda: path.replace(aside))


def _dropping(path: Path, clips: Iterable[str]) -> Callable[[], object]:
    def kept() -> tuple[Mapping[str, Any], dict[str, Path]]:
        with open_cache(path) as cache:
            return cache.options, dict.fromkeys(set(cache.clip_ids) - set(clips), path)

    return lambda: combine(path, kept)


def _merging(cache: Path) -> Callable[[], object]:
    return lambda: merge_caches([cache])


def _is_described(run: Path) -> bool:
    try:
        folder.read_run(run)
    except InputError:
        return False
    return True


def _told(path: Path, problems: tuple[str, ...], steps: list[_Step], apply: bool) -> Repaired:
    for step in steps if apply else ():
        with files.writing(path):
            step.do()
    if path.is_dir():
        anew = f"--options {path / folder.OPTIONS}"
        following = f"mecli train {f'--resume {path}' if _is_described(path) else anew}"
    elif path.suffix == _CHECKPOINT:
        following = "copy it anew, or train again"
    else:
        following = "mecli extract SOURCE, as before"
    return Repaired(path, problems, tuple(step.words for step in steps), following)
