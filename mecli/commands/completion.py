"""What the shell offers after an option: names from the registry, runs and checkpoints."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mecli import checkpoints, files, registry
from mecli.errors import InputError
from mecli.question import ATTRIBUTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Names = Callable[[Any], Sequence[str]]

_RUNS = "MECLI_RUNS"


def _registered(kind: str, *also: str) -> Names:
    return lambda _ctx: (*also, *registry.names(kind))


def _fixed(*names: str) -> Names:
    return lambda _ctx: names


def runs_folder(ctx: Any) -> Path:
    """Return where runs are, as far as is known before the verb starts."""
    return Path(ctx.params.get("folder") or os.environ.get(_RUNS) or "runs")


def _runs(ctx: Any) -> Sequence[str]:
    return [str(path.parent) for path in sorted(runs_folder(ctx).glob("*/run.json"))]


def _checkpoints(ctx: Any) -> Sequence[str]:
    found = sorted(runs_folder(ctx).glob(f"*/{checkpoints.FINAL}"))
    return [*checkpoints.SHIPPED, *map(str, found)]


def _magnifications(_ctx: Any) -> Sequence[str]:
    return ["none", *(f"{name}:" for name in registry.names("magnification"))]


def _topics(ctx: Any) -> Sequence[str]:
    from mecli.guide.topics import TOPICS, schemas

    said = [*(ctx.params.get("topic") or ()), *ctx.args]
    return schemas() if said == ["schema"] else (*TOPICS, "schema")


def _presets(ctx: Any) -> Sequence[str]:
    named = ctx.params.get("model") or ()
    # Before an option without its value, arguments are not yet where they belong.
    models = named.split(",") if isinstance(named, str) else [*named, *ctx.args]
    known = [name for name in models if name in registry.names("model")]
    return [preset for name in known for preset in registry.load("model", name).presets]


def _folds(ctx: Any) -> Sequence[str]:
    run = ctx.params.get("resume") or ctx.params.get("run")
    if run is None:
        return ()
    try:
        said = files.read_json(Path(run) / "run.json")
    except InputError:
        return ()
    folds = said.get("folds") if isinstance(said, dict) else None
    named = folds if isinstance(folds, list) else ()
    return [str(fold["name"]) for fold in named if isinstance(fold, dict) and "name" in fold]


def _formats(ctx: Any) -> Sequence[str]:
    from mecli import export, synth

    return export.FORMATS if ctx.info_name == "export" else synth.FORMATS


def _codecs(_ctx: Any) -> Sequence[str]:
    from mecli.synth import CODECS

    return CODECS


def _checks(_ctx: Any) -> Sequence[str]:
    from mecli.audit import CHECKS

    return CHECKS


_OFFERS: dict[str, Names] = {
    "model": _registered("model"),
    "models": _registered("model"),
    "corpus": _registered("corpus"),
    "labels": _registered("label scheme", "au"),
    "protocol": _registered("protocol"),
    "landmarks": _registered("landmarker", registry.AUTO),
    "flow": _registered("flow"),
    "head_motion": _registered("head motion"),
    "temporal": _registered("temporal normalisation"),
    "magnify": _magnifications,
    "engine": _fixed("auto", "pool", "stacked", "sequential"),
    "precision": _fixed("float32", "float64", "bf16"),
    "selection": _fixed("last", "inner", "oracle"),
    "by": _fixed("corpus", "subject"),
    "preset": _presets,
    "fold": _folds,
    "format": _formats,
    "codec": _codecs,
    "checks": _checks,
    "attribution": _fixed(*ATTRIBUTIONS),
    "cluster": _fixed("auto", "local"),
    "run": _runs,
    "checkpoint": _checkpoints,
    "pretrained": _checkpoints,
    "resume": _runs,
    "runs": _runs,
    "targets": _runs,
    "topic": _topics,
}


def attach(param: Any, key: str) -> None:
    """Let the shell complete what `param`, called `key`, is given."""
    names = _OFFERS.get(key)
    if names is None or (key == "runs" and param.param_type_name == "option"):
        return

    def complete(ctx: Any, _param: Any, incomplete: str) -> list[str]:
        # Some take a list, as in a,b: only what follows the last comma is open.
        before, comma, last = incomplete.rpartition(",")
        return [f"{before}{comma}{name}" for name in names(ctx) if name.startswith(last)]

    param._custom_shell_complete = complete
