"""A checkpoint: weights as safetensors with a JSON description and a digest; never pickle."""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from mecli import __version__, files, registry
from mecli.calibration import TEMPERATURES, tempered
from mecli.errors import InputError, UnknownName, UsageError
from mecli.models import options as model_options
from mecli.training.fit import Reading, build, exported, read
from mecli.training.precision import DTYPES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from mecli.models.contract import Network, Stage
    from mecli.records import ClipRecord

FORMAT = 1
_KEY = "mecli"
_LARGEST_BYTES = 2 << 30


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A trained model, ready to score clips."""

    model: str
    options: Any
    classes: tuple[str, ...]
    scheme: str
    shape: tuple[int, ...]
    """Shape of one clip's features."""
    networks: tuple[Network, ...]
    description: Mapping[str, Any]
    """Everything else that was written: protocol, seeds, caches, version."""
    temperature: float | None = None
    """What log scores are divided by; None if the run held nobody out to fit it on."""
    others: tuple[tuple[Network, ...], ...] = ()
    """The networks of further members, whose probabilities are averaged with the first's.
    Only the shipped checkpoints have any; a run begins with the first member alone."""

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages whose networks these are."""
        stages: tuple[Stage, ...] = registry.load("model", self.model).stages(self.options)
        return stages

    @property
    def members(self) -> tuple[tuple[Network, ...], ...]:
        """The networks of every member, the first one's before all."""
        return (self.networks, *self.others)


def digest(tensors: Mapping[str, Tensor]) -> str:
    """Return the sha256 of named tensors: names, types, shapes and values."""
    total = sha256()
    for name in sorted(tensors):
        values = tensors[name].detach().cpu().contiguous()
        total.update(f"{name} {values.dtype} {tuple(values.shape)}\n".encode())
        total.update(values.numpy().tobytes())
    return total.hexdigest()


def tensors_of(stages: Sequence[Stage], networks: Sequence[Network]) -> dict[str, Tensor]:
    """Return all weights by ``<stage>.<parameter>``."""
    return {
        f"{stage.name}.{name}": value.detach().cpu().contiguous().clone()
        for stage, network in zip(stages, networks, strict=True)
        for name, value in network.state_dict().items()
    }


def _all_tensors(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """Return the weights of all members; those after the first say which one they are of."""
    return {
        _prefix(number) + name: value
        for number, networks in enumerate(checkpoint.members)
        for name, value in tensors_of(checkpoint.stages, networks).items()
    }


def _prefix(member: int) -> str:
    return f"member{member}." if member else ""


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> str:
    """Write `checkpoint` to `path` in one step; return the digest of its weights."""
    tensors = _all_tensors(checkpoint)
    description = {
        **checkpoint.description,
        "format": FORMAT,
        "model": checkpoint.model,
        "options": model_options.as_dict(checkpoint.options),
        "classes": list(checkpoint.classes),
        "scheme": checkpoint.scheme,
        "shape": list(checkpoint.shape),
        "temperature": checkpoint.temperature,
        "members": len(checkpoint.members),
        "mecli": __version__,
        "sha256": digest(tensors),
    }
    text = json.dumps(description, sort_keys=True, ensure_ascii=False, allow_nan=False)
    files.write_bytes(path, save(tensors, metadata={_KEY: text}))
    return str(description["sha256"])


def load_checkpoint(path: Path) -> Checkpoint:
    """Read the checkpoint at `path`; `InputError` for anything that is not one or does not fit."""
    description, tensors = _read(path)
    try:
        if description["format"] != FORMAT:
            raise InputError(
                f"{path}: checkpoint of format {description['format']}, expected {FORMAT}"
            )
        model = registry.load("model", str(description["model"]))
        checkpoint = Checkpoint(
            model=model.name,
            options=model_options.resolve(model, description["options"]),
            classes=tuple(map(str, description["classes"])),
            scheme=str(description["scheme"]),
            shape=tuple(map(int, description["shape"])),
            networks=(),
            description=description,
            temperature=_temperature(description.get("temperature")),
        )
        expected, members = description["sha256"], _count(description.get("members", 1))
    except UnknownName as error:
        raise InputError(f"{path}: does not fit this version of mecli: {error}") from error
    except (KeyError, OverflowError, TypeError, ValueError, UsageError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: broken description of the checkpoint: {error!r}") from error
    if digest(tensors) != expected:
        raise InputError(f"{path}: the weights are damaged (their sha256 differs); copy it anew")
    parts = _by_member(tensors, members)
    first, *others = (_networks(path, checkpoint, part) for part in parts)
    return replace(checkpoint, networks=first, others=tuple(others))


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    if not path.is_file():
        raise InputError(f"{path}: no such checkpoint")
    if path.stat().st_size > _LARGEST_BYTES:
        raise InputError(f"{path}: is {path.stat().st_size >> 20} MiB, too large for a checkpoint")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as safetensors: {error}") from error
    try:
        description = json.loads(metadata.get(_KEY, "null"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: broken description of the checkpoint: {error}") from error
    if not isinstance(description, dict):
        raise InputError(f"{path}: safetensors, but no checkpoint of mecli (no description inside)")
    return description, tensors


def _temperature(value: Any) -> float | None:
    if value is None:
        return None
    low, high = TEMPERATURES
    if not (isinstance(value, float) and math.isfinite(value) and low <= value <= high):
        raise ValueError(f"temperature is {value!r}, expected {low:g} to {high:g}")
    return value


def _count(members: Any) -> int:
    if not (isinstance(members, int) and members >= 1):
        raise ValueError(f"members is {members!r}, expected 1 or more")
    return members


def _by_member(tensors: Mapping[str, Tensor], members: int) -> Iterator[dict[str, Tensor]]:
    """Yield the weights of one member after the other; the first gets what is of none."""
    parts: defaultdict[int, dict[str, Tensor]] = defaultdict(dict)
    for name, value in tensors.items():
        said = re.match(r"member(\d{1,9})\.", name)
        number = int(said[1]) if said and int(said[1]) < members else 0
        parts[number][name.removeprefix(_prefix(number))] = value
    for number in range(members):
        yield parts[number]


def _networks(
    path: Path, checkpoint: Checkpoint, tensors: Mapping[str, Tensor]
) -> tuple[Network, ...]:
    """Rebuild the networks and fill them; names, shapes and types must match exactly."""
    dtype = next((t.dtype for t in tensors.values()), torch.float32)
    if dtype not in DTYPES.values():
        raise InputError(f"{path}: weights of type {dtype}, expected float32 or float64")
    shape, n_classes = checkpoint.shape, len(checkpoint.classes)
    try:
        # Without memory first: the description may ask for any size.
        with torch.device("meta"):
            blank, _ = networks_for(checkpoint.stages, shape, n_classes, dtype)
            _make_room(checkpoint.stages, blank, tensors)
    except (IndexError, OverflowError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"{path}: shape {shape} does not fit the model's options") from error
    expected = {
        f"{stage.name}.{name}": value
        for stage, network in zip(checkpoint.stages, blank, strict=True)
        for name, value in network.state_dict().items()
    }
    if set(expected) != set(tensors):
        odd = min(set(expected) ^ set(tensors))
        where = "missing" if odd in expected else "unknown"
        raise InputError(f"{path}: does not fit {checkpoint.model}: weight '{odd}' is {where}")
    for name, value in expected.items():
        if tensors[name].shape != value.shape or tensors[name].dtype != dtype:
            raise InputError(
                f"{path}: does not fit {checkpoint.model}: weight '{name}' is "
                f"{tuple(tensors[name].shape)}, expected {tuple(value.shape)}"
            )
    networks, _ = networks_for(checkpoint.stages, shape, n_classes, dtype)
    _make_room(checkpoint.stages, networks, tensors)
    for stage, network in zip(checkpoint.stages, networks, strict=True):
        mine = f"{stage.name}."
        part = {n.removeprefix(mine): t for n, t in tensors.items() if n.startswith(mine)}
        network.load_state_dict(part)
        network.eval()
    return tuple(networks)


def _make_room(
    stages: Sequence[Stage], networks: Sequence[Network], tensors: Mapping[str, Tensor]
) -> None:
    """Let each network take as many weights as the file holds, where their number is open."""
    for stage, network in zip(stages, networks, strict=True):
        mine = f"{stage.name}."
        network.make_room(
            {n.removeprefix(mine): tuple(t.shape) for n, t in tensors.items() if n.startswith(mine)}
        )


def networks_for(
    stages: Sequence[Stage], shape: tuple[int, ...], n_classes: int, dtype: torch.dtype
) -> tuple[list[Network], list[tuple[int, ...]]]:
    """Return untrained networks for clips of `shape`, and the shape of each one's unit."""
    networks, shapes = [], []
    for stage in stages:
        by_step = stage.unit == "step"
        shapes.append(shape[1:] if by_step else shape)
        networks.append(build(stage, shapes[-1], n_classes, 0, dtype).eval())
        if stage is not stages[-1]:
            with torch.no_grad():
                shape = tuple(
                    exported(networks[-1], torch.zeros(shape, dtype=dtype), by_step).shape
                )
    return networks, shapes


def features(checkpoint: Checkpoint, record: ClipRecord) -> NDArray[np.generic]:
    """Return the features of one clip as `checkpoint` was trained on; `InputError` if not."""
    model = registry.load("model", checkpoint.model)
    values: NDArray[np.generic] = model.features(record, checkpoint.options)
    if values.shape != checkpoint.shape:
        raise InputError(
            f"clip {record.clip_id}: features {values.shape}, but the checkpoint was trained on "
            f"{checkpoint.shape}; extract with the options it was trained with"
        )
    if not np.isfinite(values).all():
        raise InputError(f"clip {record.clip_id}: features hold NaN; extract it anew")
    return values


def reading(checkpoint: Checkpoint, values: NDArray[np.generic]) -> Reading:
    """Return what the members of `checkpoint` say on average of one clip's features `values`."""
    stages = checkpoint.stages
    shares, parts = zip(
        *(read(stages, member, values) for member in checkpoint.members), strict=True
    )
    return Reading(np.mean(shares, axis=0), None if parts[0] is None else np.mean(parts, axis=0))


def scores(checkpoint: Checkpoint, records: Iterable[ClipRecord]) -> NDArray[np.float64]:
    """Return class probabilities (N, K) float64; each clip is computed alone.

    They are calibrated if the checkpoint has a temperature.
    """
    rows = [reading(checkpoint, features(checkpoint, r)).probabilities for r in records]
    shares = np.array(rows, dtype=np.float64).reshape(-1, len(checkpoint.classes))
    if checkpoint.temperature is None or not rows:
        return shares
    return tempered(shares, checkpoint.temperature)
