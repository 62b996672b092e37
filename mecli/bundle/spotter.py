"""The spotter that ships: learned from curves of faces that nobody has.

``python -m mecli.bundle.spotter FOLDER OUT`` makes curves of videos that are never rendered,
renders a few and measures theirs (what is in FOLDER is kept), and trains the network of
`mecli.spotter` on both. Further expressions are added to all of them; made curves get the
gain, the noise and the trembling lids of dense flow, drawn anew each time. No real clip is
read.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import torch
import typer
from torch import nn

from mecli import workers
from mecli.bundle.curves import Lived, lived, made_video, plan_video
from mecli.bundle.disturbed import disturbed, jittered, mirrored, shapes, with_expressions
from mecli.errors import InputError
from mecli.motion import ANALYSED_FPS, REGIONS
from mecli.spotting import CLASSES, MOMENTS_PER_S, bent, in_noise, resampled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.random import Generator
    from numpy.typing import NDArray

    Task = tuple[Callable[..., Lived], tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class SpotterOptions:
    """What the recipe can be told; the defaults are those of the weights that ship."""

    made: int = 130
    rendered: int = 11
    shapes: int = 200
    """People whose expressions are added."""
    steps: int = 2500
    networks: int = 5
    """Trained alike from other random numbers; their likelihoods are averaged."""
    seed: int = 5
    jobs: int | None = None


_MADE_SEED, _RENDERED_SEED = 500_000, 8101
_RATES = (50.0, 50.0, 30.0, 50.0, 30.0, 60.0, 30.0, 50.0, 30.0, 100.0)
_SIZES = ((352, 320), (352, 320), (480, 640), (352, 320), (280, 260))
_CHANNELS, _LAYERS, _TAPS, _DROPOUT = 16, 4, 5, 0.2
_RATE, _DECAY, _BATCH, _CROP = 6e-3, 2e-2, 32, 240
_CLASS_WEIGHTS = (1.0, 1.5, 1.2)
_DRAWN_EVERY, _MADE_AT_ONCE = 40, 40
_PER_S_MADE, _PER_S_RENDERED = 0.12, 0.2


def rendered_video(folder: Path, number: int) -> Lived:
    """Render video `number` into `folder` and measure it; curves that are there are taken."""
    from mecli.corpora.sources import read_sources
    from mecli.landmarks.choose import choose
    from mecli.motion import measure
    from mecli.synthesis.studio import Job, shoot

    style = "macro" if number % 5 == 3 else "quiet" if number % 4 == 2 else "events"
    fps, size = _RATES[number % len(_RATES)], _SIZES[number % len(_SIZES)]
    plan = plan_video(_RENDERED_SEED + number, style, fps, size)
    kept = folder / f"{plan.name}.npy"
    if not kept.exists():
        shoot(Job(folder, (plan,), "flat", "h264", 16.0 if number % 3 else 23.0, False, False, 0))
        (clip,) = read_sources([folder / "clips" / f"{plan.name}.mp4"])
        motion = measure(clip, fps, choose("embedded"))
        values = np.hstack([motion.displacement.reshape(len(motion.seen), -1), motion.head])
        np.save(kept, values)
    rate = fps / max(1, int(fps / ANALYSED_FPS))
    return lived(plan, resampled(np.load(kept), rate).astype(np.float32))


def train(
    made: Sequence[Lived],
    rendered: Sequence[Lived],
    patterns: NDArray[np.float32],
    steps: int,
    seed: int,
) -> list[tuple[NDArray[np.float16], NDArray[np.float16]]]:
    """Return weights and biases of each layer after `steps` steps; the same seed, the same.

    `patterns` are the `shapes` of the expressions that are added.
    """
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    network = _network()
    optimiser = torch.optim.AdamW(network.parameters(), _RATE, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=steps)
    loss_of = nn.CrossEntropyLoss(torch.tensor(_CLASS_WEIGHTS))
    pool: list[tuple[NDArray[np.float32], NDArray[np.int64]]] = []
    for step in range(steps):
        if step % _DRAWN_EVERY == 0:
            pool = _drawn(made, rendered, patterns, rng)
        batch = [_crop(*pool[int(rng.integers(len(pool)))], rng) for _ in range(_BATCH)]
        curves = torch.from_numpy(np.stack([curve.T for curve, _ in batch]))
        loss = loss_of(network(curves), torch.from_numpy(np.stack([y for _, y in batch])))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    layers = [layer for layer in network if isinstance(layer, nn.Conv1d)]
    return [(_half(layer.weight), _half(layer.bias)) for layer in layers]


def _network() -> nn.Sequential:
    layers: list[nn.Module] = []
    channels = 2 * len(REGIONS) + 6
    for depth in range(_LAYERS):
        apart = 2**depth
        reach = apart * (_TAPS // 2)
        conv = nn.Conv1d(channels, _CHANNELS, _TAPS, dilation=apart, padding=reach)
        layers += [conv, nn.ReLU(), nn.Dropout(_DROPOUT)]
        channels = _CHANNELS
    return nn.Sequential(*layers, nn.Conv1d(channels, len(CLASSES), 1))


def _half(values: torch.Tensor | None) -> NDArray[np.float16]:
    assert values is not None
    return np.asarray(values.detach().numpy(), dtype=np.float16)


def _drawn(
    made: Sequence[Lived],
    rendered: Sequence[Lived],
    patterns: NDArray[np.float32],
    rng: Generator,
) -> list[tuple[NDArray[np.float32], NDArray[np.int64]]]:
    """Return curves as the network takes them and the class (N,) of each moment."""
    pool = []
    for index in rng.permutation(len(made))[:_MADE_AT_ONCE]:
        video = with_expressions(made[index], patterns, _PER_S_MADE, rng)
        pool.append(_learnable(video._replace(values=disturbed(video.values, rng)), rng))
    for one in (*rendered, *rendered):
        video = with_expressions(one, patterns, _PER_S_RENDERED, rng)
        pool.append(_learnable(video._replace(values=jittered(video.values, rng)), rng))
    return pool


def _learnable(video: Lived, rng: Generator) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    values = mirrored(video.values) if rng.random() < 0.5 else video.values
    displacement = values[:, :-6].reshape(len(values), -1, 2)
    curves = in_noise(displacement, values[:, -6:], MOMENTS_PER_S)
    classes = np.zeros(len(values), np.int64)
    for onset, offset, kind in video.events:
        first, last = int(np.ceil(onset - 0.01)), int(np.floor(offset + 0.01))
        classes[first : last + 1] = CLASSES.index(kind)
    return bent(curves), classes


def _crop(
    curves: NDArray[np.float32], classes: NDArray[np.int64], rng: Generator
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    start = int(rng.integers(0, max(1, len(curves) - _CROP + 1)))
    return curves[start : start + _CROP], classes[start : start + _CROP]


def build(folder: Path, out: Path, options: SpotterOptions | None = None) -> None:
    """Make, render, measure, train, and write the weights to `out`."""
    from safetensors.numpy import save_file

    options = options or SpotterOptions()
    tasks: list[Task] = [(made_video, (_MADE_SEED + k,)) for k in range(options.made)]
    tasks += [(rendered_video, (folder, k)) for k in range(options.rendered)]
    jobs = workers.cores() if options.jobs is None else options.jobs
    videos: dict[int, Lived] = {}
    for outcome in workers.run(_done, tasks, jobs):
        if outcome.value is None:
            raise InputError(f"video {outcome.index} could not be made: {outcome.reason}")
        videos[outcome.index] = outcome.value
    ordered = [videos[k] for k in range(len(tasks))]
    made, rendered = ordered[: options.made], ordered[options.made :]
    patterns, arrays = shapes(options.shapes), {}
    for member in range(options.networks):
        layers = train(made, rendered, patterns, options.steps, options.seed + member)
        for depth, (weights, bias) in enumerate(layers):
            arrays[f"{member}.{depth}.weight"] = weights
            arrays[f"{member}.{depth}.bias"] = bias
    save_file(arrays, out)


def _done(task: Task) -> Lived:
    function, arguments = task
    return function(*arguments)


def main(
    folder: Annotated[Path, typer.Argument(help="Where rendered videos and curves are kept.")],
    out: Annotated[Path, typer.Argument(help="The weights to write.")] = Path(
        "spotter.safetensors"
    ),
    made: int = 130,
    rendered: int = 11,
    steps: int = 2500,
    networks: int = 5,
    jobs: int | None = None,
) -> None:
    """Make the spotter's weights anew."""
    build(folder, out, SpotterOptions(made, rendered, steps=steps, networks=networks, jobs=jobs))


if __name__ == "__main__":
    typer.run(main)
