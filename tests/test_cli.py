"""The command line as a shell sees it."""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import typer
from typer.testing import CliRunner

from mecli import __version__, cli
from mecli.audit import AuditOptions
from mecli.bench.extract import BenchExtractOptions
from mecli.bench.predict import BenchPredictOptions
from mecli.bench.train import BenchTrainOptions
from mecli.check import CheckOptions
from mecli.commands.audit import audit
from mecli.commands.bench import bench_extract, bench_predict, bench_train
from mecli.commands.caches import info, merge, repair, verify
from mecli.commands.check import check
from mecli.commands.doctor import doctor
from mecli.commands.evaluate import evaluate
from mecli.commands.export import export
from mecli.commands.extract import extract
from mecli.commands.flags import whole_numbers
from mecli.commands.models import models
from mecli.commands.predict import predict
from mecli.commands.preview import preview
from mecli.commands.spot import spot
from mecli.commands.synth import synth
from mecli.commands.train import train
from mecli.doctor import DoctorOptions
from mecli.evaluate import EvaluateOptions
from mecli.export import ExportOptions
from mecli.extract import ExtractOptions
from mecli.predict import PredictOptions
from mecli.preview import PreviewOptions
from mecli.spot import SpotOptions
from mecli.synth import SynthOptions
from mecli.train import TrainOptions
from mecli.verify import VerifyOptions
from mecli.zoo import ZooOptions

RUNNER = CliRunner()

# Where the command line has another name, or another form of the same default.
RENAMED = {
    "report": "report_file",
    "caches": "caches",
    "runs": "folder",
    "model_options": "settings",
    "format": "form",
}


def run(*arguments: str, **environment: str) -> Any:
    return RUNNER.invoke(cli.app, list(arguments), env=environment)


@pytest.mark.parametrize(
    ("command", "options"),
    [
        (extract, ExtractOptions),
        (train, TrainOptions),
        (evaluate, EvaluateOptions),
        (predict, PredictOptions),
        (bench_extract, BenchExtractOptions),
        (bench_predict, BenchPredictOptions),
        (bench_train, BenchTrainOptions),
        (spot, SpotOptions),
        (synth, SynthOptions),
        (audit, AuditOptions),
        (check, CheckOptions),
        (verify, VerifyOptions),
        (preview, PreviewOptions),
        (export, ExportOptions),
        (models, ZooOptions),
        (doctor, DoctorOptions),
    ],
)
def test_the_defaults_of_a_command_are_those_of_its_options(command: Any, options: Any) -> None:
    flags = inspect.signature(command).parameters
    defaults = options()
    for field in dataclasses.fields(options):
        flag = flags[RENAMED.get(field.name, field.name)].default
        value = getattr(defaults, field.name)
        if flag is None and field.name == "caches":
            of_runs = options is EvaluateOptions  # which name their caches themselves
            assert [str(p) for p in value] == ([] if of_runs else ["mecli.h5"])
        elif (options, field.name) in {(SynthOptions, "classes"), (BenchTrainOptions, "models")}:
            assert tuple(flag.split(",")) == value
        elif options is SynthOptions and field.name in {"size", "mm", "events"}:
            assert tuple(map(float, re.split("[x,]", flag))) == value
        elif field.name == "images":
            assert whole_numbers("--images", flag) == value
        elif isinstance(value, (tuple, dict)):
            assert not flag
            assert not value
        else:
            assert flag == value, field.name


def test_every_flag_has_help_and_every_command_an_example() -> None:
    for command in (
        extract,
        models,
        train,
        evaluate,
        predict,
        audit,
        bench_extract,
        bench_predict,
        bench_train,
        check,
        info,
        verify,
        merge,
        repair,
        preview,
        export,
        doctor,
    ):
        assert re.search("Example: .*mecli ", command.__doc__ or "")
        for name, hint in get_type_hints(command, include_extras=True).items():
            if name != "return" and hint is not typer.Context:
                assert any(getattr(part, "help", None) for part in get_args(hint)), name


@pytest.mark.parametrize("words", [["--help"], []])
def test_help_and_map_are_quick_because_nothing_heavy_is_imported(words: list[str]) -> None:
    code = (
        f"import sys; sys.argv = {['mecli', *words]}\n"
        "from mecli.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'cv2', 'h5py', 'numpy', 'av', 'sklearn', 'scipy', 'matplotlib'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "extract" in done.stdout


def test_version_and_unknown_words() -> None:
    assert run("--version").stdout == f"mecli {__version__}\n"
    result = run("extarct")
    assert result.exit_code == 2
    assert "Did you mean 'extract'" in result.stderr
    result = run("extract", "x", "--flow", "diss")
    assert result.exit_code == 2
    assert result.stderr == (
        "mecli: unknown flow 'diss'; did you mean 'dis'? (known: dis, farneback, tvl1)\n"
    )
    assert run("train", "--protocol", "lsoo").exit_code == 2


def test_a_missing_source_is_bad_input_and_a_missing_cache_or_run_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("extract", "nowhere")
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.startswith("mecli: nowhere: No such file")
    result = run("train")
    assert result.exit_code == 4
    assert "mecli.h5: no such cache; run `mecli extract SOURCE` first" in result.stderr
    result = run("evaluate")
    assert result.exit_code == 4
    assert "run `mecli train` first" in result.stderr
    result = run("predict", "clip.mp4")
    assert result.exit_code == 3
    assert "no run in runs/: the bundled checkpoint is asked" in result.stderr


def test_list_prints_clips_as_a_table_and_as_json_lines(sample: Path) -> None:
    table = run("extract", str(sample), "--list")
    assert table.exit_code == 0
    assert "59 clips of 9 subjects" in table.stdout
    lines = run("extract", str(sample), "--list", "--json").stdout.splitlines()
    clips = [json.loads(line) for line in lines]
    assert len(clips) == 59
    first = next(c for c in clips if c["clip"] == "synth/s01/s01_01")
    assert (first["onset"], first["apex"], first["offset"]) == (44, 63, 80)
    assert first["labels"]["emotion"] == "happiness"


def test_extract_reports_what_it_did_and_what_failed(tmp_path: Path, sample: Path) -> None:
    cache = str(tmp_path / "c.h5")
    clip = str(sample / "clips" / "s01_02.mp4")
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    result = run(
        "extract", clip, str(tmp_path / "broken.mp4"), "-o", cache, "-j", "0", "--json",
        "--landmarks", "embedded", "--steps", "4",
    )  # fmt: skip
    assert result.exit_code == 3
    summary = json.loads(result.stdout)
    assert (summary["extracted"], len(summary["failed"])) == (1, 1)
    assert "broken.mp4: cannot be opened as video" in result.stderr
    text = run("extract", clip, "-j", "0", "--landmarks", "embedded", "--steps", "4",
               MECLI_CACHE=cache)  # fmt: skip
    assert text.exit_code == 0
    assert "1 (1 unchanged)" in text.stdout


def test_evaluate_scores_a_table_on_stdin() -> None:
    table = "clip,subject,corpus,label,prediction\na,1,x,0,0\nb,1,x,1,1\nc,2,x,0,1\nd,2,x,1,1\n"
    result = RUNNER.invoke(cli.app, ["evaluate", "-", "--json", "--classes", "0,1,2"], input=table)
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["classes"] == ["0", "1", "2"]
    assert document["absent_classes"] == ["2"]
    assert document["accuracy"] == 0.75
    assert "note: " in result.stderr


def test_bench_extract_measures(sample: Path) -> None:
    result = run("bench", "extract", str(sample), "--clips", "3", "--frames", "12", "-j", "0",
                 "--json")  # fmt: skip
    assert result.exit_code == 0, result.stderr
    figures = json.loads(result.stdout)
    assert (figures["clips"], figures["frames"], figures["failed"]) == (3, 36, 0)
    assert abs(sum(figures["stage_shares"].values()) - 1) < 0.01
    text = run("bench", "extract", str(sample), "--clips", "1", "--frames", "8", "-j", "0")
    assert "stage shares" in text.stdout
    assert run("bench", "extract", "--clips", "0").exit_code == 2


def test_an_interrupt_is_130_and_a_bug_keeps_its_traceback(
    monkeypatch: pytest.MonkeyPatch, sample: Path
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mecli.extract.list_clips", interrupted)
    result = run("extract", str(sample), "--list")
    assert result.exit_code == 130
    assert "what is finished is kept" in result.stderr

    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("mecli.extract.list_clips", broken)
    result = run("extract", str(sample), "--list")
    assert isinstance(result.exception, RuntimeError)
    assert result.exit_code == 1


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
def test_a_reader_that_leaves_early_is_no_error(sample: Path) -> None:
    mecli = f"{sys.executable} -m mecli"
    done = subprocess.run(
        f"for i in 1 2 3; do {mecli} extract {sample} --list --json; done | head -1",
        shell=True, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="has no device that is always full")
def test_a_full_disk_below_stdout_is_one_line(sample: Path) -> None:
    command = [sys.executable, "-m", "mecli", "extract", str(sample), "--list"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr == (
        "mecli: standard output: cannot be written: No space left on device; make room and run "
        "the same command again, what is finished is kept\n"
    )


def test_synth_makes_a_corpus_that_extract_takes(tmp_path: Path) -> None:
    out = tmp_path / "faces"
    result = run(
        "synth", str(out), "--subjects", "1", "--clips", "1", "--pairs-only", "--size", "160x176",
        "--distractors", "0", "-j", "0", "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["clips"] == 1
    assert "1 clip of 1 subject" in run("extract", str(out), "--list").stdout
    assert run("synth", str(out), "--size", "big").exit_code == 2
