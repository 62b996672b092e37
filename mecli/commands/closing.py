"""The last word of a verb, on stderr: what was written, and what one does next."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mecli.errors import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Params = Mapping[str, Any]

# Options and arguments that name what a verb writes, whichever verb it is.
_WRITTEN = ("out", "csv", "eaf", "overlay", "report", "report_file", "figures")
_DEFAULT_CACHE = "mecli.h5"


def line(
    verb: str, params: Params, result: Any, *, failed: bool = False, nothing: bool = False
) -> str:
    """Return the last line of `verb`, which was told `params` and returned `result`.

    It is empty where nothing was written and no verb follows. After a verb that `failed` in
    part, what mends it may follow; where `nothing` came of it, no verb goes on with that.
    """
    # A flag of such a name writes to stdout. Older releases of Typer hold a path as text here.
    written = [str(params[name]) for name in _WRITTEN if isinstance(params.get(name), Path | str)]
    after = _AFTER_FAILURE if failed and verb in _AFTER_FAILURE else _VERBS
    extra, following = after.get(verb, _nothing)(params, result)
    # A clip that failed may be the only one there was.
    said = [name for name in (*extra, *written) if name != "-" and Path(name).exists()]
    parts = [f"wrote {printable(', '.join(said))}"] if said else []
    if following and not (nothing and after is _VERBS):
        parts.append(f"next: {' '.join(map(_quoted, following))}")
    return "; ".join(parts)


def _quoted(word: str) -> str:
    """Return `word` as a shell takes it, in one line whatever a file is called."""
    if word.isprintable():
        return shlex.quote(word)
    escaped = word.replace("\\", "\\\\").replace("'", "\\'")
    return f"$'{printable(escaped)}'"


def _nothing(_params: Params, _result: Any) -> tuple[Sequence[str], Sequence[str]]:
    return (), ()


def _extract(params: Params, _result: Any) -> tuple[Sequence[str], Sequence[str]]:
    cache = str(params["cache"])
    if params["only_list"] or not Path(cache).exists():
        return (), ()
    return (cache,), ("mecli", "train", *(["-c", cache] if cache != _DEFAULT_CACHE else []))


def _train(_params: Params, result: Any) -> tuple[Sequence[str], Sequence[str]]:
    runs = [str(run) for run in result or ()]
    return runs, ("mecli", "evaluate", *runs)


def _evaluate(params: Params, _result: Any) -> tuple[Sequence[str], Sequence[str]]:
    named: list[str] = params["runs"] or []
    table = named[:1] == ["-"] or (named[:1] and named[0].casefold().endswith(".csv"))
    return (), ("mecli", "audit", *named) if len(named) == 1 and not table else ()


def _check(params: Params, _result: Any) -> tuple[Sequence[str], Sequence[str]]:
    return (), ("mecli", "extract", *params["sources"])


def _synth(params: Params, _result: Any) -> tuple[Sequence[str], Sequence[str]]:
    folder = str(params["folder"])
    return (folder,), ("mecli", "extract", folder)


def _merge(params: Params, _result: Any) -> tuple[Sequence[str], Sequence[str]]:
    out = params["out"]
    return (), ("mecli", "info", str(out)) if out is not None else ()


def _verify(params: Params, _result: Any) -> tuple[Sequence[str], Sequence[str]]:
    return (), ("mecli", "repair", *(params["caches"] or ()))


def _repair(params: Params, _result: Any) -> tuple[Sequence[str], Sequence[str]]:
    named = params["caches"] or ()
    return (), () if params["apply"] else ("mecli", "repair", *named, "--apply")


_AFTER_FAILURE: Mapping[str, Callable[[Params, Any], tuple[Sequence[str], Sequence[str]]]] = {
    "check": _nothing,
    "verify": _verify,
    "repair": _repair,
}
_VERBS: Mapping[str, Callable[[Params, Any], tuple[Sequence[str], Sequence[str]]]] = {
    "extract": _extract,
    "train": _train,
    "evaluate": _evaluate,
    "check": _check,
    "synth": _synth,
    "merge": _merge,
}
