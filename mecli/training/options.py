"""What can be told to `train`, checked, and as the JSON that a run keeps."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mecli import files, registry
from mecli.errors import InputError, UnknownName, UsageError
from mecli.kinds import fits
from mecli.labels import check_scheme
from mecli.schemes.au import ALL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SELECTIONS = ("last", "inner", "oracle")
NONE = "none"
"""As the checkpoint to begin with: weights are drawn by the seed."""
_PRECISIONS = ("float32", "float64", "bf16")


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """Everything that decides what `train` computes; its defaults are the command's."""

    caches: tuple[Path, ...] = (Path("mecli.h5"),)
    model: str = "roi-flow-lstm"
    preset: str | None = None
    model_options: Mapping[str, Any] = field(default_factory=dict)
    protocol: str = "loso"
    labels: str = "megc2019"
    k: int = 5
    share: float = 0.2
    epochs: int | None = None
    seed: int = 0
    seeds: int = 1
    engine: str = "auto"
    jobs: int | None = None
    cluster: str | None = None
    """Address of a Ray cluster that trains the folds."""
    gpus: float = 0.0
    """Share of a GPU that each of them holds there."""
    precision: str = "float32"
    selection: str = "last"
    pretrained: str = registry.AUTO
    """A checkpoint; `NONE`; or auto: the one that ships, where it fits model and clips."""
    freeze: bool = False
    final: bool = True
    keep_weights: bool = True
    runs: Path = Path("runs")

    def __post_init__(self) -> None:
        registry.check_name("model", self.model)
        registry.check_name("protocol", self.protocol)
        if self.labels != ALL:
            check_scheme(self.labels, "au for all units")
        if not self.caches:
            raise UsageError("no cache named, expected at least one")
        _check_choice("precision", self.precision, _PRECISIONS)
        _check_choice("selection", self.selection, SELECTIONS)
        _check_choice("engine", self.engine, ("auto", "pool", "stacked", "sequential"))
        if self.leaks and self.protocol == "all":
            raise UsageError("--selection oracle: protocol 'all' holds out nobody who could pick")
        if self.freeze and self.pretrained in {registry.AUTO, NONE}:
            raise UsageError("--freeze: freeze what? Name a checkpoint with --pretrained")
        for name, least in (("epochs", 1), ("seeds", 1), ("seed", 0), ("jobs", 0), ("k", 2)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise UsageError(f"--{name} is {value}, expected {least} or more")
        if not 0 < self.share < 1:
            raise UsageError(f"--share is {self.share}, expected 0 < share < 1")

    @property
    def leaks(self) -> bool:
        """Whether held-out subjects have a say: no weights are written then."""
        return self.selection == "oracle"

    def as_json(self) -> dict[str, Any]:
        """Return the options as a JSON document that `from_json` takes back."""
        values = asdict(self)
        return {
            **values,
            "caches": [str(path) for path in self.caches],
            "runs": str(self.runs),
            "model_options": dict(self.model_options),
        }

    @classmethod
    def from_json(cls, document: Any, where: Path) -> TrainOptions:
        """Return the options in `document`, which was read from `where`."""
        if not isinstance(document, dict):
            raise InputError(f"{where}: not a JSON object of train options")
        known = [f.name for f in fields(cls)]
        for name in document:
            if name not in known:
                raise UnknownName(f"option in {where}", str(name), known)
        values = dict(document)
        # Runs of earlier versions say null where they began with nothing.
        if values.get("pretrained", NONE) is None:
            values["pretrained"] = NONE
        for one in fields(cls):
            if one.name in values and not fits(values[one.name], str(one.type)):
                raise InputError(
                    f"{where}: a train option has the wrong type: {one.name} is "
                    f"{values[one.name]!r}"
                )
        if "caches" in values:
            values["caches"] = tuple(map(Path, values["caches"]))
        if "runs" in values:
            values["runs"] = Path(values["runs"])
        return cls(**values)


def _check_choice(kind: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise UnknownName(kind, value, known)


def read_options(path: Path) -> TrainOptions:
    """Return the options that a run wrote to `path`."""
    return TrainOptions.from_json(files.read_json(path), path)


def parse_settings(settings: Sequence[str]) -> dict[str, Any]:
    """Return model options from ``name=value`` words; a value is JSON where it can be."""
    parsed: dict[str, Any] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not (equals and name.strip()):
            raise UsageError(f"--set {setting}: expected name=value")
        try:
            parsed[name.strip()] = json.loads(value)
        except ValueError:
            parsed[name.strip()] = value
    return parsed
