"""Files that are written beside the answers: one for one clip, a folder of them for several."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mecli.errors import InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from mecli.clips import Clip


def outputs(clips: Mapping[int, Clip], flag: str, out: Path | None, suffix: str) -> dict[int, Path]:
    """Return the file that `flag` wants of each of `clips`, by its place.

    `out` is a file that ends in `suffix` for one clip, or a folder. Raises `UsageError` for a
    file where several clips are.
    """
    if out is None:
        return {}
    if out.suffix:
        if out.suffix.casefold() == suffix and len(clips) < 2:
            return dict.fromkeys(clips, out)
        raise UsageError(
            f"{flag} is {out} for {len(clips)} clip(s), expected a name that ends in {suffix} "
            "for one, a folder for several"
        )
    outs: dict[int, Path] = {}
    for place, clip in clips.items():
        path = out / f"{clip.clip_id.replace('/', '-')}{suffix}"
        # Two folders of one name hold clips of one id.
        outs[place] = path.with_stem(f"{path.stem}-{place}") if path in outs.values() else path
    return outs


def check_free(paths: Iterable[Path | None], *, force: bool) -> None:
    """Raise `InputError` for the first of `paths` that is there already, unless `force`."""
    for path in paths:
        if path is not None and path.exists() and not force:
            raise InputError(f"{path}: exists; name another file, or replace it with --force")
