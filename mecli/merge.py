"""The verb ``merge``: waiting parts into their cache, or several caches into one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from mecli import guard
from mecli.cache import Reader, check_options, combine, merge, open_cache, parts_folder
from mecli.caches import expand_caches
from mecli.errors import InputError, UsageError
from mecli.report.caches import Merged

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


def merge_caches(
    named: Sequence[str | Path],
    out: Path | None = None,
    *,
    force: bool = False,
    stdin: TextIO | None = None,
) -> Merged:
    """Merge the parts that wait beside one cache, or all `named` caches into `out`.

    Caches given to `out` stay as they are, and so do their parts. A clip that is in two of
    them counts once if both were made from the same files; the one that did not fail wins.
    Raises `InputError` for caches of other options or clips that contradict each other.
    """
    if out is None:
        return _merge_waiting(named)
    _check_free(out, force=force)
    caches = expand_caches(named, stdin)
    sources: list[Path] = []

    def choose() -> tuple[dict[str, Any], dict[str, Path]]:
        _check_free(out, force=force)
        sources.extend(source for path in caches for source in (path, *_parts(path)))
        told = f"{out}: what is merged into it"
        return guard.call(_places, sources, what=told, cpu_s=guard.patience_s(sources))

    return Merged(out, combine(out, choose), tuple(sources))


def _check_free(out: Path, *, force: bool) -> None:
    if out.exists() and not force:
        raise InputError(f"{out}: exists; name another file with -o, or replace it with --force")


def _parts(path: Path) -> list[Path]:
    return sorted(parts_folder(path).glob("[!.]*.h5"))


def _merge_waiting(named: Sequence[str | Path]) -> Merged:
    if len(named) != 1 or str(named[0]) == "-" or Path(named[0]).is_dir():
        raise UsageError("several caches are named; name the cache to write with -o")
    path = Path(named[0])
    parts = _parts(path)
    # A cache whose extraction was killed before its first merge exists only as parts.
    with open_cache(path if path.exists() or not parts else parts[0]) as cache:
        options = cache.options
    merge(path, options)
    with open_cache(path) as cache:
        return Merged(path, len(cache.clip_ids), tuple(parts))


def _places(sources: Sequence[Path]) -> tuple[dict[str, Any], dict[str, Path]]:
    """Return the options of all `sources` and from which of them each clip is taken."""
    options: dict[str, Any] | None = None
    places: dict[str, Path] = {}
    taken: dict[str, tuple[str, bool]] = {}
    for path in sources:
        with Reader(path) as cache:
            options = cache.options if options is None else options
            check_options(cache, options)
            for record in map(cache.summary, cache.clip_ids):
                clip, key = record.clip_id, cache.key(record.clip_id)
                before = taken.get(clip)
                if before is not None and before[0] != key:
                    raise InputError(
                        f"{path}: clip {clip} is in {places[clip]} too, made from other files or "
                        "another annotation; extract it anew, or leave one of the caches out"
                    )
                if before is None or (record.ok and not before[1]):
                    places[clip], taken[clip] = path, (key, record.ok)
    return options or {}, places
