"""`mecli synth`: render faces with known micro-expressions into a corpus that extracts."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mecli import workers
from mecli.errors import InputError, UsageError
from mecli.files import write_json, write_text
from mecli.synthesis import unfinished
from mecli.synthesis.action_units import CLASSES
from mecli.synthesis.plan import (
    LEAST_SLOT_S,
    ClipPlan,
    class_cycle,
    identity_seed,
    plan_clip,
    plan_long,
    seed_of,
)  # fmt: skip
from mecli.synthesis.sheet import SHEETS, sheet
from mecli.synthesis.studio import Job, Shot, shoot

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GENERATOR = 2
"""Version of the generator; a change of pictures or motion for the same seeds raises it."""
FORMATS = tuple(SHEETS)
CODECS = ("auto", "h264", "png", "npz")
KINDS = (*CLASSES, "none")


@dataclass(frozen=True, slots=True)
class SynthOptions:
    """What ``mecli synth`` can be told; the defaults are the command line's."""

    subjects: int = 8
    clips: int = 6
    """Per subject, distractors not counted in; 0 leaves the long clips alone."""
    seed: int = 0
    """Of the people."""
    motion_seed: int | None = None
    """Of motion, rooms and noise; `seed` unless given."""
    classes: tuple[str, ...] = CLASSES
    distractors: float = 0.15
    """Clips without a micro-expression, on top of `clips`: below 1 the share of all clips,
    from 1 on how many each subject has."""
    fps: float = 100.0
    size: tuple[int, int] = (320, 352)
    """Width, height."""
    mm: tuple[float, float] = (0.7, 2.5)
    """Least and greatest movement of the strongest point of the skin."""
    format: str = "flat"
    codec: str = "auto"
    """h264 for clips and png for pairs unless given; npz (shards of pairs) for pairs only."""
    crf: float = 16
    pairs_only: bool = False
    long: int = 0
    """Long clips with several micro-expressions, blinks and talking, of one more subject."""
    long_s: float = 10.0
    events: tuple[int, int] = (3, 5)
    """Least and greatest number of micro-expressions of a long clip."""
    truth: bool = False
    jobs: int | None = None
    force: bool = False

    def __post_init__(self) -> None:
        self._check_counts()
        for name in self.classes:
            if name not in CLASSES:
                raise UsageError(f"--classes names '{name}', expected some of {', '.join(CLASSES)}")
        if not self.classes:
            raise UsageError(f"--classes is empty, expected some of {', '.join(CLASSES)}")
        if self.format not in FORMATS:
            raise UsageError(f"--format is '{self.format}', expected {' or '.join(FORMATS)}")
        if self.codec not in CODECS:
            raise UsageError(f"--codec is '{self.codec}', expected one of {', '.join(CODECS)}")
        if self.codec == "npz" and (not self.pairs_only or self.format != "flat"):
            raise UsageError("--codec npz goes with --pairs-only and --format flat")

    def _check_counts(self) -> None:
        for what, least in (("subjects", 1), ("clips", 0 if self.long > 0 else 1)):
            if getattr(self, what) < least:
                raise UsageError(f"--{what} is {getattr(self, what)}, expected {least} or more")
        for what in ("seed", "motion_seed", "long", "jobs"):
            value = getattr(self, what)
            if value is not None and value < 0:
                raise UsageError(f"--{what.replace('_', '-')} is {value}, expected 0 or more")
        if not (0 <= self.distractors < 1 or (self.distractors >= 1 and self.distractors % 1 == 0)):
            raise UsageError(
                f"--distractors is {self.distractors:g}, expected a share from 0 to below 1, "
                "or how many per person"
            )
        if not 10 <= self.fps <= 1000:
            raise UsageError(f"--fps is {self.fps:g}, expected 10 to 1000")
        if not all(96 <= side <= 2048 for side in self.size):
            raise UsageError(f"--size is {self.size[0]}x{self.size[1]}, expected 96 to 2048 px")
        if not 0 < self.mm[0] <= self.mm[1] <= 10:
            raise UsageError(f"--mm is {self.mm[0]:g},{self.mm[1]:g}, expected 0 < lo <= hi <= 10")
        self._check_long()

    def _check_long(self) -> None:
        if self.pairs_only and self.long:
            raise UsageError("--long and --pairs-only exclude each other")
        least, most = self.events
        if not 0 <= least <= most:
            raise UsageError(f"--events is {least},{most}, expected 0 <= least <= most")
        shortest = max(4.0, (most + 1) * LEAST_SLOT_S)
        if self.long and not self.long_s >= shortest:
            raise UsageError(
                f"--long-s is {self.long_s:g}, expected {shortest:g} or more for {most} events"
            )

    @property
    def resolved(self) -> SynthOptions:
        """Return the options with every choice made."""
        codec = self.codec
        if codec == "auto":
            codec = "png" if self.pairs_only else "h264"
        motion = self.seed if self.motion_seed is None else self.motion_seed
        return replace(self, codec=codec, motion_seed=motion)


@dataclass(slots=True)
class SynthSummary:
    """What one run of ``synth`` made."""

    folder: Path
    clips: int = 0
    frames: int = 0
    plans: str = ""
    """SHA-256 of all motion plans: equal digests, equal clips before encoding."""
    failures: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the summary as one JSON object."""
        failed = [{"clip": c, "reason": r} for c, r in sorted(self.failures.items())]
        return {
            "folder": str(self.folder), "clips": self.clips, "frames": self.frames,
            "plans": self.plans, "failed": failed,
        }  # fmt: skip


def plan(options: SynthOptions) -> list[ClipPlan]:
    """Return every clip of a run; the same options give the same plans."""
    import numpy as np

    chosen = options.resolved
    assert chosen.motion_seed is not None
    size = (chosen.size[1], chosen.size[0])
    digits = max(2, len(str(chosen.subjects + 1)))
    extra = np.random.default_rng((chosen.motion_seed, 3))
    plans = []
    for number in range(1, chosen.subjects + 1):
        rng = np.random.default_rng((chosen.motion_seed, number, 4))
        kinds = class_cycle(chosen.classes, chosen.clips, rng)
        still = chosen.distractors
        if still < 1:
            still = int(chosen.clips * still / (1 - still) + extra.random())
        kinds += ["none"] * int(still)
        plans += [
            plan_clip(
                f"s{number:0{digits}d}_{index:02d}", number, identity_seed(chosen.seed, number),
                seed_of(chosen.motion_seed, number, index, 12), klass, chosen.fps, size, chosen.mm,
            )
            for index, klass in enumerate(kinds, start=1)
        ]  # fmt: skip
    number = chosen.subjects + 1
    plans += [
        plan_long(
            f"long{index:02d}", number, identity_seed(chosen.seed, number),
            seed_of(chosen.motion_seed, number, index, 13), min(chosen.fps, 50.0), size,
            chosen.mm, chosen.long_s, chosen.events,
        )
        for index in range(1, chosen.long + 1)
    ]  # fmt: skip
    return plans


def synth(
    folder: Path,
    options: SynthOptions | None = None,
    *,
    progress: Callable[[int, int, str], None] | None = None,
) -> SynthSummary:
    """Render a corpus into `folder`: clips, annotation sheet, manifest, truth on request.

    A clip that fails is listed in the summary and left out of the sheet. What a run of the
    same options left unfinished in `folder` is not rendered again. `progress` counts frames.
    Raises `InputError` if `folder` holds something else and the options do not say force.
    """
    chosen = (options or SynthOptions()).resolved
    plans = plan(chosen)
    _make_room(folder, chosen, {"options": _told(chosen), "plans": digest(plans)})
    shots: dict[str, Shot] = {}
    tasks = []
    for task in _jobs(folder, chosen, plans):
        before = unfinished.noted(folder, task.number)
        if before is None:
            tasks.append(task)
        shots.update({shot.name: shot for shot in before or ()})
    tasks.sort(key=lambda job: -max(p.frames for p in job.plans))
    jobs = workers.cores() if chosen.jobs is None else chosen.jobs
    if len(tasks) == 1:
        jobs = 0
    summary = SynthSummary(folder)
    # A long clip takes as long as twenty others: counted by clips, the time left would be false.
    frames, rendered = sum(map(_frames, tasks)), 0
    for outcome in workers.run(shoot, tasks, jobs, preload="mecli.synthesis.studio"):
        task = tasks[outcome.index]
        rendered += _frames(task)
        if outcome.value is None:
            summary.failures.update({p.name: outcome.reason for p in task.plans})
        else:
            unfinished.note(folder, task.number, outcome.value)
            shots.update({shot.name: shot for shot in outcome.value})
        if progress is not None:
            progress(rendered, frames, f"frames, {task.plans[-1].name}")
    made = [shots[p.name] for p in plans if p.name in shots]
    summary.clips, summary.frames = len(made), sum(s.frames for s in made)
    summary.plans = digest(plans)
    write_text(folder / SHEETS[chosen.format], sheet(made))
    write_json(folder / "manifest.json", _manifest(chosen, plans, made, summary))
    if not summary.failures:
        unfinished.end(folder)
    return summary


def digest(plans: list[ClipPlan]) -> str:
    """Return the SHA-256 of motion plans and generator version (encoders differ, plans do not)."""
    text = json.dumps([GENERATOR, [asdict(p) for p in plans]], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _make_room(folder: Path, options: SynthOptions, asked: dict[str, Any]) -> None:
    if folder.is_file():
        raise InputError(f"{folder}: is a file, expected a folder to write to")
    asked = json.loads(json.dumps(asked))
    if not options.force:
        if unfinished.goes_on(folder, asked):
            return
        if folder.is_dir() and any(folder.iterdir()):
            raise InputError(f"{folder}: is not empty; choose another folder or say --force")
    unfinished.begin(folder, asked)


def _jobs(folder: Path, options: SynthOptions, plans: list[ClipPlan]) -> list[Job]:
    """Group clips into tasks: few enough to spread, and one subject's close together."""
    most = 64 if options.codec == "npz" else 16 if options.pairs_only else 2
    tasks: list[Job] = []
    group: list[ClipPlan] = []
    for item in [*plans, None]:
        if group and (
            item is None or len(group) == most
            or (options.codec != "npz" and item.subject != group[0].subject)
        ):  # fmt: skip
            tasks.append(
                Job(
                    folder, tuple(group), options.format, options.codec, options.crf,
                    options.pairs_only, options.truth, len(tasks),
                )
            )  # fmt: skip
            group = []
        if item is not None:
            group.append(item)
    return tasks


def _frames(task: Job) -> int:
    return sum(2 if task.pairs_only else p.frames for p in task.plans)


def _told(options: SynthOptions) -> dict[str, Any]:
    return {k: v for k, v in asdict(options).items() if k not in ("jobs", "force")}


def _manifest(
    options: SynthOptions, plans: list[ClipPlan], shots: list[Shot], summary: SynthSummary
) -> dict[str, Any]:
    from mecli import __version__

    acted = {shot.name: shot for shot in shots}
    clips = []
    for item in plans:
        shot = acted.get(item.name)
        actions = [row.action_units for row in shot.rows] if shot else []
        clips.append({**asdict(item), "action_units": actions, "rendered": shot is not None})
    return {
        "generator": GENERATOR,
        "mecli": __version__,
        "options": _told(options),
        "plans_sha256": summary.plans,
        "licence": "CC0 1.0; rendered from CC0 head meshes, no real person is shown",
        "clips": clips,
    }
