"""One table of the whole zoo: what is trained for it, how it is joined, and what it says."""

from __future__ import annotations

import csv
import io
import json
import shutil
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from mecli import cli, registry
from mecli.bench.published import PUBLISHED
from mecli.bench.results import ResultsOptions, bench_results, rounds, wanted
from mecli.errors import InputError, UnknownName, UsageError
from mecli.report.results import to_csv, to_json, to_markdown, to_text
from tests import published

if TYPE_CHECKING:
    from pathlib import Path

    from mecli.report.results import Result

MODELS = ("ststnet", "roi-flow-ridge", "lbp-top-svm")
PRESET = "htnet@small"
_MOVES = ((6, 14, 0.0, 1.0), (18, 24, 1.0, -1.0), (4, 12, 0.0, -1.0))


def archive(folder: Path, subjects: int = 4) -> Path:
    """Flow images of four people of two corpora; each class moves its own region."""
    folder.mkdir()
    rows, chance = [], np.random.default_rng(5)
    for subject in range(subjects):
        for label, (top, bottom, right, down) in enumerate(_MOVES):
            flow = chance.normal(0, 0.25, (28, 28, 2))
            flow[top:bottom, 8:20] += (right, down)
            low, high = flow.min(axis=(0, 1)), flow.max(axis=(0, 1))
            image = np.dstack([(flow - low) / (high - low) * 255, np.zeros((28, 28, 1))])
            path = folder / f"s{subject}_c{label} .png"
            assert cv2.imwrite(str(path), image.round().astype(np.uint8)[..., ::-1])
            rows.append(f"{'smic' if subject % 2 else 'casme2'},s{subject},c{label},{label}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return folder


def results(source: Path, folder: Path, **more: Any) -> list[Result]:
    options = ResultsOptions(
        folder=folder, **{"models": MODELS, "seeds": 2, "epochs": 3, "jobs": 0, **more}
    )
    rows, failures = bench_results(str(source), options, lambda *_: None)
    assert failures == {}
    return rows


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, list[Result]]:
    root = tmp_path_factory.mktemp("results")
    source = archive(root / "flows")
    return source, root / "r", results(source, root / "r")


def test_a_model_has_a_run_per_seed_and_one_that_draws_nothing_has_one(
    made: tuple[Path, Path, list[Result]],
) -> None:
    _, folder, (drawn, solved, unfit) = made
    runs = sorted(p.name for p in (folder / "runs").iterdir())
    assert runs == ["roi-flow-ridge-0", "ststnet-0", "ststnet-1"]
    assert drawn.found is not None
    assert (drawn.found.seeds, drawn.found.whole.clips) == ((0, 1), 12)
    assert solved.found is not None
    assert solved.found.seeds == (0,)
    assert unfit.found is None
    assert "no ROI frames" in unfit.note


def test_the_honest_score_is_of_the_last_epoch_and_the_leak_stands_beside(
    made: tuple[Path, Path, list[Result]],
) -> None:
    drawn, solved, _ = made[2]
    assert drawn.found is not None
    assert drawn.leaked is not None
    assert drawn.leaked.leaked
    assert not drawn.found.leaked
    hits = [
        {seed: np.trace(group.counts) for seed, group in run.by_seed.items()}
        for run in (drawn.found, drawn.leaked)
    ]
    assert all(hits[1][seed] >= hits[0][seed] for seed in (0, 1))
    assert solved.leaked is None


def test_a_second_call_trains_nothing_and_finds_the_same(
    made: tuple[Path, Path, list[Result]],
) -> None:
    source, folder, first = made
    folds = sorted((folder / "runs").glob("*/folds/*/*.json"))
    written = [p.stat().st_mtime_ns for p in folds]
    assert len(folds) == 3 * 4
    assert to_json(results(source, folder)) == to_json(first)
    assert [p.stat().st_mtime_ns for p in folds] == written


def test_every_form_of_the_table_has_the_same_figures(
    made: tuple[Path, Path, list[Result]],
) -> None:
    rows = made[2]
    published.check("bench-results", to_json(rows))
    drawn, solved, unfit = to_json(rows)
    assert drawn["begun_with"] == "none"
    assert 0 <= drawn["uf1"] <= 1
    assert drawn["uf1_sd"] is not None
    assert solved["uf1_sd"] is None
    assert solved["uf1"] == solved["ensemble"]["uf1"]
    assert set(drawn["ensemble"]["by_corpus"]) == {"casme2", "smic"}
    assert "uf1" not in unfit
    cells = list(csv.DictReader(io.StringIO(to_csv(rows))))
    assert [c["model"] for c in cells] == list(MODELS)
    assert float(cells[0]["uf1"]) == drawn["uf1"]
    assert float(cells[0]["ensemble_uar_smic"]) == drawn["ensemble"]["by_corpus"]["smic"]["uar"]
    assert float(cells[0]["LEAKED_uf1"]) == drawn["LEAKED"]["uf1"]
    assert (cells[2]["uf1"], cells[2]["published_uf1"]) == ("", "0.588")
    assert [c["published_leaked"] for c in cells] == ["False", "", "False"]
    text = to_text(rows)
    assert text.startswith("12 clips of 4 subjects.")
    short = f"{drawn['uf1']:.3f} ± {drawn['uf1_sd']:.3f}".replace("0.", ".")
    assert short in text
    assert f"| {short} |" in to_markdown(rows)
    assert ".735 / .761\n" in text
    assert "\nststnet: published in 10.1109/FG.2019.8756567 (its UAR" in text
    assert "\n- `ststnet`: published in 10.1109/FG.2019.8756567 (its UAR" in to_markdown(rows)
    assert "roi-flow-ridge:" not in text


def test_without_training_what_is_there_is_scored(made: tuple[Path, Path, list[Result]]) -> None:
    source, folder, first = made
    told = results(source, folder, models=("ststnet", "htnet"), train=False, seeds=1)
    assert told[0].found is not None
    assert told[0].found.seeds == (0,)
    assert first[0].found is not None
    expected = first[0].found.by_seed[0].counts
    np.testing.assert_array_equal(told[0].found.whole.counts, expected)
    assert (told[1].found, told[1].note) == (None, "not trained yet")
    assert to_text(told[1:]).startswith("Nothing is trained yet.")


def test_runs_on_other_clips_are_refused(
    made: tuple[Path, Path, list[Result]], tmp_path: Path
) -> None:
    folder = tmp_path / "r"
    results(archive(tmp_path / "few", 3), folder, models=("roi-flow-ridge",))
    (folder / "mecli.h5").unlink()
    with pytest.raises(InputError, match="changed since the run was started"):
        results(made[0], folder, models=("roi-flow-ridge",))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"protocol": "kfold"}, "protocol loso, asked for kfold"),
        ({"epochs": None}, "epochs 3, asked for the default"),
    ],
)
@pytest.mark.parametrize("train", [True, False])
def test_runs_with_other_options_are_no_answer(
    made: tuple[Path, Path, list[Result]], asked: dict[str, Any], said: str, train: bool
) -> None:
    with pytest.raises(InputError, match=said):
        results(made[0], made[1], train=train, **asked)


def test_tables_of_different_columns_are_not_joined(tmp_path: Path) -> None:
    folder = tmp_path / "r"
    source = archive(tmp_path / "flows", 2)
    results(source, folder, models=("ststnet",), epochs=1)
    table = folder / "runs" / "ststnet-1" / "predictions.csv"
    table.write_text(table.read_text().replace("score_surprise", "score_other", 1))
    with pytest.raises(InputError, match="the seeds' tables have different columns"):
        results(source, folder, models=("ststnet",), epochs=1, train=False)


def test_a_preset_of_a_model_is_a_row_of_its_own(tmp_path: Path) -> None:
    source, folder = archive(tmp_path / "flows", 2), tmp_path / "r"
    told: list[tuple[int, int, str]] = []

    def progress(done: int, total: int, message: str = "", /) -> None:
        told.append((done, total, message))

    options = ResultsOptions(folder, (PRESET, "roi-flow-ridge"), seeds=2, epochs=1, jobs=0)
    small, solved = bench_results(str(source), options, progress)[0]
    assert small.found is not None
    assert small.found.seeds == (0, 1)
    assert small.published == PUBLISHED["htnet"]
    assert solved.found is not None
    kept = json.loads((folder / "runs" / f"{PRESET}-0" / "run.json").read_text())
    assert (kept["model"], kept["model_options"]["width"]) == ("htnet", 24)
    assert "| htnet@small | 2 |" in to_markdown([small])
    assert ".860 / .848 LEAKED\n" in to_text([small])
    trained = [(done, total) for done, total, message in told if ", seed " in message]
    assert trained == sorted(trained)
    assert trained[-1] == (6, 6)


def test_what_a_run_began_with_is_said(
    made: tuple[Path, Path, list[Result]], tmp_path: Path
) -> None:
    folder = tmp_path / "r"
    shutil.copytree(made[1], folder)
    header = folder / "runs" / "ststnet-1" / "run.json"
    document = json.loads(header.read_text())
    header.write_text(json.dumps({**document, "pretrained": {"checkpoint": "bundled"}}))
    (row,) = results(made[0], folder, models=("ststnet",), train=False)
    assert row.begun_with == "bundled or none"
    assert "ststnet: begun with bundled or none; published in 10.1109/FG" in to_text([row])


def test_an_interrupt_says_how_to_go_on(
    made: tuple[Path, Path, list[Result]], tmp_path: Path
) -> None:
    def interrupt(done: int, total: int, message: str = "", /) -> None:
        if done:
            raise KeyboardInterrupt

    folder = tmp_path / "r"
    options = ResultsOptions(folder, ("ststnet",), seeds=1, epochs=1, jobs=0)
    with pytest.raises(KeyboardInterrupt, match="the same command goes on where it stopped"):
        bench_results(str(made[0]), options, lambda d, t, m="", /: interrupt(d * ("seed" in m), t))
    assert (folder / "runs" / "ststnet-0" / "folds" / "0" / "0.json").exists()
    assert bench_results(str(made[0]), options, lambda *_: None)[0][0].found is not None


def test_every_model_comes_once_before_any_is_repeated() -> None:
    options = ResultsOptions(seeds=3, seeds_of={"htnet": 1})
    order = list(rounds(("ststnet", "htnet", "flow-svm"), options))
    assert order == [
        ("ststnet", 0), ("htnet", 0), ("flow-svm", 0), ("ststnet", 1), ("ststnet", 2)
    ]  # fmt: skip


def test_models_and_their_seeds_are_read_from_one_word() -> None:
    assert wanted(None) == (registry.names("model"), {})
    assert wanted("ststnet, htnet:2") == (("ststnet", "htnet"), {"htnet": 2})
    with pytest.raises(UsageError, match="'two' is no number of seeds"):
        wanted("htnet:two")
    with pytest.raises(UsageError, match="a model is named twice"):
        wanted("htnet,htnet:2")
    assert wanted("htnet@small:2") == (("htnet@small",), {"htnet@small": 2})
    with pytest.raises(UnknownName, match="tiny"):
        ResultsOptions(models=("htnet@tiny",))
    with pytest.raises(UsageError, match="0 seeds, expected at least 1"):
        ResultsOptions(seeds_of={"htnet": 0})
    with pytest.raises(UnknownName, match="resnet"):
        ResultsOptions(models=("resnet",))


def test_what_was_published_is_of_models_of_the_zoo() -> None:
    assert set(PUBLISHED) <= set(registry.names("model"))
    assert all(
        0 < p.uf1 < 1 and 0 < p.uar < 1 and p.doi.startswith("10.") for p in PUBLISHED.values()
    )


def test_the_command_prints_one_form_and_writes_the_table(tmp_path: Path) -> None:
    source, out = archive(tmp_path / "flows"), tmp_path / "t.csv"
    words = ["bench", "results", str(source), "--folder", str(tmp_path / "r"), "--jobs", "0"]
    words += ["--models", "roi-flow-ridge"]
    done = CliRunner().invoke(cli.app, [*words, "--json", "--csv", str(out)])
    assert done.exit_code == 0, done.output
    (row,) = json.loads(done.stdout)
    assert (row["model"], row["clips"], row["seeds"]) == ("roi-flow-ridge", 12, [0])
    assert out.read_text().splitlines()[1].startswith("roi-flow-ridge,1,12,")
    down = CliRunner().invoke(cli.app, [*words, "--no-train", "--markdown"])
    assert "| roi-flow-ridge | 1 |" in down.stdout
    assert down.stdout.endswith("|\n")
    plain = CliRunner().invoke(cli.app, [*words, "--no-train"])
    assert plain.stdout.startswith("12 clips of 4 subjects.")
    assert CliRunner().invoke(cli.app, [*words, "--markdown", "--json"]).exit_code == 2
    again = CliRunner().invoke(cli.app, [*words, "--no-train", "--csv", str(out)])
    assert (again.exit_code, again.stdout) == (InputError.exit_code, "")
    assert "exists" in again.stderr
    forced = CliRunner().invoke(cli.app, [*words, "--no-train", "--csv", str(out), "--force"])
    assert forced.stdout == plain.stdout


def test_a_folder_that_is_no_corpus_is_told_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    words = ["bench", "results", str(tmp_path / "empty"), "--folder", str(tmp_path / "r")]
    done = CliRunner().invoke(cli.app, words)
    assert (done.exit_code, done.stdout) == (InputError.exit_code, "")
    assert done.stderr.count("\n") == 1
    assert "empty" in done.stderr
    assert not (tmp_path / "r").exists()


def test_a_clip_that_cannot_be_read_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    source = archive(tmp_path / "flows")
    (source / "s0_c0 .png").write_bytes(b"no picture")
    words = ["bench", "results", str(source), "--folder", str(tmp_path / "r"), "--jobs", "0"]
    done = CliRunner().invoke(cli.app, [*words, "--models", "roi-flow-ridge", "--json"])
    assert done.exit_code == InputError.exit_code
    assert json.loads(done.stdout)[0]["clips"] == 11
    assert "casme2/s0/c0" in done.stderr
