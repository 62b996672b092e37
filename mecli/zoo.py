"""The verb ``models``: every architecture with its source, size, options and measured cost."""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from mecli import registry
from mecli.checkpoints import SHIPPED, find
from mecli.errors import InputError, UsageError
from mecli.report.zoo import Card, Cost, Option

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mecli.records import ClipRecord


@dataclass(frozen=True, slots=True)
class ZooOptions:
    """What ``mecli models`` can be told; the defaults are the command line's."""

    model: str | None = None
    preset: str | None = None
    runs: Path = Path("runs")

    def __post_init__(self) -> None:
        if self.model is not None:
            registry.check_name("model", self.model)
        elif self.preset is not None:
            raise UsageError(f"preset '{self.preset}' of which model? Name one")


def models(options: ZooOptions | None = None) -> list[Card]:
    """Return the card of every registered model, or of the one that `options` names."""
    chosen = options or ZooOptions()
    costs = measured(chosen.runs)
    names = registry.names("model") if chosen.model is None else (chosen.model,)
    return [_card(name, chosen.preset, costs) for name in names]


def _card(name: str, preset: str | None, costs: Mapping[tuple[str, str], Cost]) -> Card:
    from mecli.models.options import resolve

    model = registry.load("model", name)
    values = resolve(model, {}, preset)
    shape = model.features(_blank(), values).shape
    return Card(
        name=name,
        paper=model.paper,
        doi=model.doi,
        input=model.input,
        shape=tuple(shape),
        weights=_weights(model.stages(values), shape),
        options=_options(values),
        presets=model.presets,
        cost=costs.get((name, _named(asdict(values)))),
    )


def is_checkpoint(name: str) -> bool:
    """Whether `name` is that of a checkpoint: a shipped one or a safetensors file."""
    return name in SHIPPED or name.endswith(".safetensors")


def checkpoint(name: str) -> dict[str, Any]:
    """Return what a checkpoint says about itself, and its size.

    Raises `MissingDependency` if there is no bundled one, `InputError` for what is none.
    """
    from mecli.training.checkpoint import load_checkpoint

    path = find(name)
    loaded = load_checkpoint(path)
    weights = sum(
        p.numel() for networks in loaded.members for n in networks for p in n.parameters()
    )
    told = {**loaded.description, "weights": weights, "bytes": path.stat().st_size}
    told["persons"] = len(told.get("persons", ()))
    return told


def _blank() -> ClipRecord:
    """Return a clip on which nothing moves, of the size that extraction gives."""
    import numpy as np

    from mecli.records import ClipRecord
    from mecli.rois import ROI_BOXES

    return ClipRecord(
        clip_id="blank/blank/blank",
        corpus="blank",
        subject="blank",
        name="blank",
        flow=np.zeros((16, 70, 60, 2), np.float32),
        apex_flow=np.zeros((70, 60, 2), np.float32),
        roi_frames=np.zeros((16, len(ROI_BOXES), 48, 48, 3), np.uint8),
        roi_boxes=ROI_BOXES.copy(),
    )


def _weights(stages: Any, shape: tuple[int, ...]) -> dict[str, int | None]:
    """Count the weights of each stage for three classes, without memory for them."""
    import torch

    from mecli.training.checkpoint import networks_for

    with torch.device("meta"):
        networks, _ = networks_for(stages, shape, 3, torch.float32)
    return {
        stage.name: None if stage.solved else sum(p.numel() for p in network.parameters())
        for stage, network in zip(stages, networks, strict=True)
    }


def _options(values: Any) -> tuple[Option, ...]:
    hints, about = get_type_hints(type(values)), _docstrings(type(values))
    return tuple(
        Option(
            name=f.name,
            kind="choice" if get_args(hints[f.name]) else hints[f.name].__name__,
            value=getattr(values, f.name),
            choices=get_args(hints[f.name]),
            about=about.get(f.name, ""),
        )
        for f in fields(values)
    )


def _docstrings(cls: type[Any]) -> dict[str, str]:
    """Return the text below each field of a dataclass and of those it is made from."""
    found: dict[str, str] = {}
    for part in reversed(cls.__mro__[:-1]):
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(part))).body
        assert isinstance(tree, ast.ClassDef)
        for field, below in zip(tree.body, tree.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                text = below.value if isinstance(below, ast.Expr) else None
                if isinstance(text, ast.Constant) and isinstance(text.value, str):
                    found[field.target.id] = " ".join(text.value.split())
    return found


def measured(runs: Path) -> dict[tuple[str, str], Cost]:
    """Return what folds took by model and its options, in the newest plain run of each.

    Plain runs train every stage once, from start to end: without inner or oracle selection,
    frozen stages or another number of epochs. What cannot be read is passed over.
    """
    from mecli.files import read_json
    from mecli.training import folder

    found: dict[tuple[str, str], Cost] = {}
    for path in sorted(runs.glob(f"*/{folder.RUN}")):
        try:
            run = folder.read_run(path.parent)
            told = read_json(path.parent / folder.OPTIONS)
            plain = run["selection"] == "last" and told["epochs"] is None and not told["freeze"]
            folds = [read_json(fold) for fold in path.parent.glob("folds/*/*.json")]
            times = [float(fold["duration_s"]) for fold in folds]
        except (InputError, KeyError, TypeError, ValueError):
            continue
        if times and plain:
            cost = Cost(path.parent.name, len(times), round(sum(times) / len(times), 3))
            found[str(run["model"]), _named(run["model_options"])] = cost
    return found


def _named(options: Mapping[str, Any]) -> str:
    """Return a model's options as one key, as they are in a run and in memory."""
    return json.dumps(options, sort_keys=True)
