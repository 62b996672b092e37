"""The checkpoints that ship: learned from faces that nobody has, rebuilt by one command.

``python -m mecli.bundle FOLDER OUT`` renders pairs and draws archive-like maps from exact
motion (one file an identity; what is there is not made again), trains `roi-flow-lstm` on the
pairs for faces and on the maps for flow images, and writes both checkpoints with their cards.
No real clip is read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from mecli import calibration, workers
from mecli.bundle.cards import card
from mecli.bundle.exact import MapTask, make_maps
from mecli.bundle.shards import ShardTask, make_shard
from mecli.checkpoints import FACES, MAPS, bundled
from mecli.flow_images import flow_of_image
from mecli.models.roi_flow_lstm import RoiFlowLstm, RoiFlowLstmOptions
from mecli.records import ClipRecord
from mecli.rois import ROI_BOXES
from mecli.schemes.megc2019_none import CLASSES
from mecli.training.checkpoint import Checkpoint, save_checkpoint
from mecli.training.fit import fit
from mecli.training.units import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from mecli.models.contract import Network

    Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class BundleOptions:
    """What the recipe can be told; the defaults are those of the checkpoints that ship."""

    identities: int = 1540
    """Rendered; `pairs` of each go through compression, detection, alignment and flow."""
    pairs: int = 13
    none: float = 0.2
    """Share of pairs without a micro-expression."""
    seed: int = 1
    map_identities: int = 3000
    maps: int = 10
    """Of each of `map_identities`."""
    views: int = 2
    """Of each map: windows and disturbances it is seen in."""
    map_seed: int = 7
    shared: int = 5
    """Of so many maps one is also among what the checkpoint for faces learns from: clean
    movements, by which it learns to look at the region that moves."""
    held_out: int = 10
    """Every tenth identity sets the temperature of the scores and trains nothing."""
    members: int | None = None
    """Networks of a checkpoint, one a seed, whose answers are averaged; None: as shipped."""
    epochs: int | None = None
    """Of training; None: as many as make the checkpoints that ship."""
    jobs: int | None = None


_MODEL = RoiFlowLstmOptions(steps=1, moment="apex", batch_size=128, balance=0.5)
MODELS = {
    # Few slow steps and strong decay: what fits drawn maps closest knows real ones least.
    MAPS: replace(_MODEL, epochs=3, learning_rate=5e-4, weight_decay=1.0, dropout=0.5),
    FACES: replace(_MODEL, epochs=8, learning_rate=1e-3, weight_decay=0.3, dropout=0.4, shift=0.5),
}
# On drawn maps five know as much as one, on real ones a little more: .796 against .790.
MEMBERS = {MAPS: 5, FACES: 1}


class Examples(NamedTuple):
    """Features (N, …), class positions (N,) and the identity (N,) of each."""

    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    numbers: NDArray[np.int64]

    def of(self, chosen: NDArray[np.bool_]) -> Examples:
        """Return the rows that are `chosen` (N,)."""
        return Examples(self.features[chosen], self.labels[chosen], self.numbers[chosen])


def bundle(folder: Path, out: Path, options: BundleOptions, progress: Progress) -> None:
    """Make what is missing in `folder`, train, and write both checkpoints to folder `out`."""
    maps = drawn(folder, options, progress)
    save_checkpoint(out / bundled(MAPS).name, learned(MAPS, maps, options))
    pairs = rendered(folder, options, progress)
    some = maps.of(np.arange(len(maps.labels)) % options.shared == 0)
    save_checkpoint(out / bundled(FACES).name, learned(FACES, pairs, options, some))


def learned(
    name: str, examples: Examples, options: BundleOptions, more: Examples | None = None
) -> Checkpoint:
    """Return the checkpoint `name`, trained on all `examples` but those that calibrate it.

    It learns from all of `more` too.
    """
    held = examples.numbers % options.held_out == options.held_out - 1
    model = MODELS[name] if options.epochs is None else replace(MODELS[name], epochs=options.epochs)
    parts = [examples.of(~held), *([more] if more is not None else [])]
    taught = Examples(*map(np.concatenate, zip(*parts, strict=True)))
    seeds = range(options.members or MEMBERS[name])
    networks = [trained(taught, model, seed) for seed in seeds]
    judged = examples.of(held)
    shares = np.mean([probabilities(network, judged.features) for network in networks], axis=0)
    right = float((shares.argmax(1) == judged.labels).mean())
    return Checkpoint(
        model=RoiFlowLstm.name,
        options=model,
        classes=CLASSES,
        scheme="megc2019-none",
        shape=tuple(examples.features.shape[1:]),
        networks=(networks[0],),
        others=tuple((network,) for network in networks[1:]),
        description={
            **card(name, options, [len(part.labels) for part in (examples, *parts[1:])], right),
            "seeds": list(seeds),
        },
        temperature=calibration.fit_temperature(shares, judged.labels.tolist()),
    )


def rendered(folder: Path, options: BundleOptions, progress: Progress) -> Examples:
    """Return the rendered pairs, making the shards that are not in `folder` yet."""
    tasks = [
        ShardTask(folder, options.seed, number, options.pairs, options.none)
        for number in range(options.identities)
    ]
    _make(make_shard, tasks, options, progress, "pairs")
    rows = []
    for done, task in enumerate(tasks, start=1):
        with np.load(task.path) as shard:
            columns = [shard[name] for name in ("flow", "boxes", "klass")]
        rows += [
            (_features(FACES, flow.astype(np.float32), boxes), str(klass), task.number)
            for flow, boxes, klass in zip(*columns, strict=True)
        ]
        progress(done, len(tasks), "features of pairs")
    return _examples(rows)


def drawn(folder: Path, options: BundleOptions, progress: Progress) -> Examples:
    """Return maps in the form of an archive, drawing those that are not in `folder` yet."""
    tasks = [
        MapTask(folder, options.map_seed, number, options.maps, options.views)
        for number in range(options.map_identities)
    ]
    _make(make_maps, tasks, options, progress, "maps")
    rows = []
    for done, task in enumerate(tasks, start=1):
        with np.load(task.path) as shard:
            columns = [shard[name] for name in ("image", "klass")]
        rows += [
            (_features(MAPS, flow_of_image(image), ROI_BOXES), str(klass), task.number)
            for image, klass in zip(*columns, strict=True)
        ]
        progress(done, len(tasks), "features of maps")
    return _examples(rows)


def _make(
    make: Callable[[Any], int],
    tasks: Sequence[ShardTask | MapTask],
    options: BundleOptions,
    progress: Progress,
    what: str,
) -> None:
    """Make what is absent, one process a core."""
    absent = [task for task in tasks if not task.path.exists()]
    jobs = workers.cores() if options.jobs is None else options.jobs
    for done, outcome in enumerate(workers.run(make, absent, jobs), start=1):
        if outcome.error is not None:
            raise outcome.error
        progress(done, len(absent), what)


def _features(
    name: str, flow: NDArray[np.float32], boxes: NDArray[np.float32]
) -> NDArray[np.float16]:
    record = ClipRecord(
        clip_id="bundle/i/p", corpus="bundle", subject="i", name="p",
        flow=flow[None], apex_flow=flow, roi_boxes=boxes,
    )  # fmt: skip
    return RoiFlowLstm.features(record, MODELS[name]).astype(np.float16)


def _examples(rows: Iterable[tuple[NDArray[np.float16], str, int]]) -> Examples:
    features, names, numbers = zip(*rows, strict=True)
    return Examples(
        np.stack(features).astype(np.float32),
        np.array([CLASSES.index(name) for name in names]),
        np.array(numbers),
    )


def trained(examples: Examples, model: RoiFlowLstmOptions, seed: int) -> Network:
    """Return the network of `model` after training on all `examples` by chance of `seed`."""
    names = tuple(f"bundle/{k:06d}" for k in range(len(examples.labels)))
    table = Table(names, examples.features, examples.labels, len(CLASSES))
    return fit(RoiFlowLstm.stages(model), table, np.arange(len(names)), seed).networks[0].eval()


@torch.no_grad()
def probabilities(network: Network, features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the class shares (N, K) of many clips at once, uncalibrated."""
    views = network.views(torch.from_numpy(features))
    shares = [torch.softmax(network(view, {}).double(), dim=-1) for view in views]
    return np.asarray(torch.stack(shares).mean(0).numpy())
