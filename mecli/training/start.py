"""Weights that a run begins with: those of a checkpoint trained on other people.

They are taken by name (``<stage>.<parameter>``), from the first of several members. Weights that
belong to classes are taken by the name of the class; they start anew where the checkpoint does
not know all classes. A frozen stage keeps its weights in every fold; what it says of a clip is
then the same in all folds, so it is computed once.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch

from mecli.checkpoints import BUNDLED, FACES, MAPS, find, meant
from mecli.errors import InputError, UsageError
from mecli.training import dataset
from mecli.training.checkpoint import load_checkpoint, networks_for, tensors_of
from mecli.training.fit import begin, exported
from mecli.training.units import as_input

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from mecli.models.contract import Network, Stage
    from mecli.training.checkpoint import Checkpoint
    from mecli.training.dataset import Dataset


def read(name: str, model: str) -> Checkpoint:
    """Return the checkpoint `name`; `InputError` if it is of another model than `model`."""
    checkpoint = load_checkpoint(find(name))
    if checkpoint.model != model:
        raise InputError(
            f"{name}: a checkpoint of model {checkpoint.model}, expected {model}; "
            f"say --model {checkpoint.model}"
        )
    return checkpoint


def named(name: str, data: Dataset) -> str:
    """Return checkpoint `name`; for ``bundled`` the one for what the clips of `data` hold.

    Raises `InputError` if they hold both flow images and faces.
    """
    if name != BUNDLED:
        return name
    kinds = dataset.kinds(data)
    if len(kinds) > 1:
        raise InputError(
            f"{BUNDLED}: some clips are flow images and some are faces, which takes two "
            f"checkpoints; give them apart, or name {FACES} or {MAPS}"
        )
    return meant(name, maps=kinds == {True})


def fits(
    name: str, model: str, stages: Sequence[Stage], shape: Sequence[int], classes: Sequence[str]
) -> bool:
    """Whether checkpoint `name` is of `model` and knows clips of `shape`.

    It does not if options make its `stages` other networks.
    """
    checkpoint = load_checkpoint(find(name))
    if (checkpoint.model, checkpoint.shape) != (model, tuple(shape)):
        return False
    try:
        weights(checkpoint, stages, classes)
    except InputError:
        return False
    return True


@lru_cache(maxsize=1)
def read_same(name: str, model: str, sha256: str) -> Checkpoint:
    """Return the checkpoint `name`; `InputError` if its weights are not those of `sha256`."""
    checkpoint = read(name, model)
    if checkpoint.description["sha256"] != sha256:
        raise InputError(f"{name}: changed since the run was started; start a new run")
    return checkpoint


def persons_of(checkpoint: Checkpoint) -> frozenset[str]:
    """Return everyone whom `checkpoint` has learned from; empty if it does not say."""
    named = checkpoint.description.get("persons")
    return frozenset(map(str, named)) if isinstance(named, list) else frozenset()


def check_persons(name: str, checkpoint: Checkpoint, persons: Iterable[str]) -> None:
    """Raise `InputError` unless `checkpoint` learned from nobody of `persons`.

    Whoever it has seen would be held out in some fold, and known to the weights already.
    """
    known = persons_of(checkpoint)
    if not known:
        raise InputError(
            f"{name}: does not say whom it was trained on, so nobody can be held out from it; "
            "train it again with this version"
        )
    shared = sorted(known & set(persons))
    if shared:
        raise InputError(
            f"{name}: was trained on {len(shared)} of the subjects that are to be held out "
            f"({shared[0]}); use a checkpoint trained on other people"
        )


def weights(
    checkpoint: Checkpoint, stages: Sequence[Stage], classes: Sequence[str]
) -> dict[str, Tensor]:
    """Return what `checkpoint` has for `stages` trained on `classes`, by name.

    Raises `InputError` if the model's options make weights of other shapes.
    """
    found = tensors_of(checkpoint.stages, checkpoint.networks)
    mine = _shapes(stages, checkpoint.shape, len(classes))
    if tuple(classes) != checkpoint.classes:
        heads = _heads(stages, checkpoint.shape, len(classes))
        if knows(checkpoint, classes):
            found |= _chosen(found, heads, checkpoint.classes, classes)
        else:
            mine = {name: shape for name, shape in mine.items() if name not in heads}
    for name, shape in mine.items():
        if name not in found or found[name].shape != shape:
            got = tuple(found[name].shape) if name in found else "missing"
            raise InputError(
                f"the checkpoint does not fit the options of {checkpoint.model}: weight "
                f"'{name}' is {got}, expected {tuple(shape)}"
            )
    return {name: found[name] for name in mine}


def knows(checkpoint: Checkpoint, classes: Sequence[str]) -> bool:
    """Whether `checkpoint` was trained on all of `classes`, and perhaps more."""
    return set(classes) <= set(checkpoint.classes)


def frozen(
    checkpoint: Checkpoint,
    stages: Sequence[Stage],
    classes: Sequence[str],
    dtype: torch.dtype,
) -> tuple[Network, ...]:
    """Return the networks of all `stages` but the last with the checkpoint's weights."""
    values = weights(checkpoint, stages, classes)
    networks, _ = networks_for(stages, checkpoint.shape, len(classes), dtype)
    for stage, network in zip(stages[:-1], networks[:-1], strict=True):
        begin(network, stage, values)
    return tuple(networks[:-1])


def check_stages(model: str, stages: Sequence[Stage], freeze: bool) -> None:
    """Raise `UsageError` unless there is something to begin with, and left to train."""
    if any(stage.solved for stage in stages):
        raise UsageError(
            f"--pretrained: model {model} solves for its weights, so it begins with none"
        )
    if freeze and len(stages) < 2:
        raise UsageError(
            f"--freeze: model {model} is trained in one stage, so nothing would be left to "
            "train; leave --freeze out, or choose options that train it in two stages"
        )


@torch.no_grad()
def exports(
    networks: Sequence[Network], stages: Sequence[Stage], features: Iterable[NDArray[np.generic]]
) -> Iterator[NDArray[np.generic]]:
    """Yield what frozen `networks` of the first `stages` say of each clip, each alone."""
    dtype = next(networks[0].parameters()).dtype
    for clip in features:
        value = as_input(torch.from_numpy(np.array(clip)), dtype)
        for network, stage in zip(networks, stages, strict=False):
            value = exported(network, value, stage.unit == "step")
        yield value.numpy()


def _heads(stages: Sequence[Stage], shape: tuple[int, ...], n_classes: int) -> dict[str, int]:
    """Return the axis that counts classes, of every weight that has one."""
    wider = _shapes(stages, shape, n_classes + 1)
    return {
        name: next(axis for axis, size in enumerate(mine) if size != wider[name][axis])
        for name, mine in _shapes(stages, shape, n_classes).items()
        if mine != wider[name]
    }


def _chosen(
    found: Mapping[str, Tensor],
    heads: Mapping[str, int],
    theirs: Sequence[str],
    ours: Sequence[str],
) -> dict[str, Tensor]:
    """Return the weights in `heads` for class names `ours`, out of those for `theirs`."""
    rows = torch.tensor([theirs.index(name) for name in ours])
    return {
        name: found[name].index_select(axis, rows)
        for name, axis in heads.items()
        if name in found and found[name].shape[axis : axis + 1] == (len(theirs),)
    }


def _shapes(
    stages: Sequence[Stage], shape: tuple[int, ...], n_classes: int
) -> dict[str, torch.Size]:
    try:
        with torch.device("meta"):
            networks, _ = networks_for(stages, shape, n_classes, torch.float32)
    except (RuntimeError, ValueError, IndexError) as error:
        raise InputError(f"clips of shape {shape} do not fit the model's options") from error
    return {
        f"{stage.name}.{name}": value.shape
        for stage, network in zip(stages, networks, strict=True)
        for name, value in network.state_dict().items()
    }
