"""What ``mecli bench synth`` counts and refuses."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from mecli import cli
from mecli.bench.synth import BenchSynthOptions
from mecli.errors import UsageError


def test_frames_and_pairs_are_rendered_and_counted() -> None:
    words = ["bench", "synth", "--subjects", "1", "--clips", "1", "--pairs", "2"]
    done = CliRunner().invoke(cli.app, [*words, "--json"])
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)
    assert figures["pairs"] == 2
    assert figures["frames"] >= 100
    ratio = figures["clips_of_100_frames_per_min_and_core"] / figures["frames_per_s_and_core"]
    assert ratio == pytest.approx(0.6, rel=0.02)
    assert figures["pairs_per_s_and_core"] > 0


def test_nothing_to_render_is_refused() -> None:
    with pytest.raises(UsageError, match="0 clips and 48 pairs of 2 subjects asked for"):
        BenchSynthOptions(clips=0)
    assert CliRunner().invoke(cli.app, ["bench", "synth", "--pairs", "0"]).exit_code == 2
