"""The sample data is what the command in its README makes."""

from __future__ import annotations

import csv
import json
import shlex
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import typer.main

from mecli import cli
from mecli.synth import GENERATOR, SynthOptions, digest, plan
from mecli.synthesis.identity import make_subject
from mecli.synthesis.plan import ClipPlan, perform
from mecli.synthesis.scene import make_scene
from mecli.synthesis.studio import actor_of, clip_frames
from mecli.video import read_frames

if TYPE_CHECKING:
    from pathlib import Path

    from mecli.synthesis.motion import Event

OPTIONS = SynthOptions(seed=2069, mm=(0.7, 2.0), distractors=1, long=1)


def row(clip: ClipPlan, event: Event | None) -> dict[str, str]:
    told = event and [str(t + 1) for t in (event.onset, event.apex, event.offset)]
    onset, apex, offset = told or ["", "", ""]
    return {
        "Subject": f"{clip.subject:02d}", "Filename": clip.name, "OnsetFrame": onset,
        "ApexFrame": apex, "OffsetFrame": offset,
        "Action Units": event.action_units if event else "",
        "Estimated Emotion": event.emotion if event else "none",
        "Class": event.klass if event else "none", "FPS": f"{clip.fps:g}",
        "Frames": str(clip.frames), "PeakMM": f"{event.peak_mm:.2f}" if event else "0.00",
        "Distractor": clip.distractor,
    }  # fmt: skip


def test_the_command_in_its_readme_has_these_options(sample: Path) -> None:
    text = (sample / "README.md").read_text(encoding="utf-8")
    (line,) = [line for line in text.splitlines() if line.startswith("mecli synth ")]
    root: Any = typer.main.get_command(cli.app)
    asked = root.commands["synth"].make_context("synth", shlex.split(line)[2:]).params
    assert (str(asked.pop("folder")), asked.pop("force")) == ("sample_data", True)
    differs = {"seed": 2069, "mm": "0.7,2", "distractors": 1, "long": 1}
    plain = root.commands["synth"].make_context("synth", ["x"]).params
    assert asked == {k: v for k, v in {**plain, **differs}.items() if k in asked}
    told = json.loads((sample / "manifest.json").read_text(encoding="utf-8"))["options"]
    chosen = OPTIONS.resolved
    assert told == {
        name: list(value) if isinstance(value := getattr(chosen, name), tuple) else value
        for name in told
    }


def test_its_plans_and_annotation_are_drawn_again_alike(sample: Path) -> None:
    manifest = json.loads((sample / "manifest.json").read_text(encoding="utf-8"))
    plans = plan(OPTIONS)
    assert (manifest["generator"], manifest["plans_sha256"]) == (GENERATOR, digest(plans))
    expected = []
    for clip in plans:
        _, events = perform(clip, make_subject(clip.identity))
        expected += [row(clip, event) for event in events or [None]]
    with (sample / "annotation.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.DictReader(file)) == expected
    files = sorted(path.stem for path in (sample / "clips").iterdir())
    assert files == sorted(clip.name for clip in plans)


def test_it_is_small_and_says_that_it_is_free(sample: Path) -> None:
    size = sum(path.stat().st_size for path in sample.rglob("*") if path.is_file())
    assert size <= 6_000_000
    assert "CC0 1.0" in json.loads((sample / "manifest.json").read_text("utf-8"))["licence"]


def test_every_subject_shows_each_class_twice_and_one_clip_without(sample: Path) -> None:
    with (sample / "annotation.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for number in range(1, 9):
        shown = sorted(r["Class"] for r in rows if r["Subject"] == f"{number:02d}")
        assert shown == sorted([*("negative", "positive", "surprise") * 2, "none"])
    kinds = {r["Distractor"] for r in rows} - {""}
    assert kinds == {"blink", "nod", "talk", "swallow", "saccade", "still"}


@pytest.mark.slow
def test_a_clip_rendered_again_looks_like_the_one_that_ships(sample: Path) -> None:
    clip = next(p for p in plan(OPTIONS) if p.name == "s02_06")
    actor = actor_of(clip.identity)
    curves, events = perform(clip, actor.subject)
    scene = make_scene(clip.size, np.random.default_rng((clip.motion, 3)))
    made = clip_frames(actor, clip, curves, events, scene)
    kept = [frame.image for frame in read_frames(sample / "clips" / "s02_06.mp4")]
    errors = [
        float(np.mean((ours.astype(float) - theirs) ** 2))
        for ours, theirs in zip(made, kept, strict=True)
    ]
    # What is left is what H.264 leaves out: the grain of the sensor, mostly.
    assert 10 * np.log10(255**2 / np.mean(errors)) > 34
