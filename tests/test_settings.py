"""Options from files and the environment, what the shell offers, and the last word of a verb."""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from mecli import cli, registry
from mecli.commands import closing, settings
from mecli.commands.verb import Verb

RUNNER = CliRunner()


def run(*arguments: str, **environment: str) -> Any:
    return RUNNER.invoke(cli.app, list(arguments), env=environment, prog_name="mecli")


def verbs() -> dict[tuple[str, ...], Verb]:
    found: dict[tuple[str, ...], Verb] = {}
    root: Any = typer.main.get_command(cli.app)
    for name, command in root.commands.items():
        if isinstance(command, Verb):
            found[(name,)] = command
        else:
            found |= {(name, inner): one for inner, one in command.commands.items()}
    return found


def options_of(*arguments: str, **environment: str) -> dict[str, Any]:
    result = run(*arguments, "--print-options", **environment)
    assert result.exit_code == 0, result.stderr
    tables: Any = tomllib.loads(result.stdout)
    for word in arguments[: 2 if arguments[0] == "bench" else 1]:
        tables = tables[word]
    return dict(tables)


def test_every_verb_takes_options_from_files() -> None:
    assert {("extract",), ("train",), ("bench", "train")} <= verbs().keys()
    assert all(isinstance(command, Verb) for command in verbs().values())


@pytest.mark.parametrize("verb", verbs(), ids=" ".join)
def test_printed_options_can_be_fed_back(verb: tuple[str, ...], tmp_path: Path) -> None:
    printed = run(*verb, "--print-options").stdout
    file = tmp_path / "options.toml"
    file.write_text(printed, encoding="utf-8")
    again = run(*verb, "--options", str(file), "--print-options")
    assert again.exit_code == 0, again.stderr
    assert again.stdout == printed


def test_the_command_line_beats_the_file_beats_the_environment_beats_the_default(
    tmp_path: Path,
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("seeds = 3\nk = 4\n[train]\nk = 6\n[extract]\nsteps = 9\n")
    environment = {"MECLI_TRAIN_SEEDS": "2", "MECLI_TRAIN_SEED": "7", "MECLI_TRAIN_K": "2"}
    found = options_of("train", "--options", str(file), **environment)
    assert (found["seeds"], found["seed"], found["k"], found["share"]) == (3, 7, 6, 0.2)
    found = options_of("train", "--options", str(file), "--seeds", "5", **environment)
    assert found["seeds"] == 5


def test_one_file_may_serve_all_verbs(tmp_path: Path) -> None:
    file = tmp_path / "all.toml"
    file.write_text(
        '[extract]\nsteps = 9\nas_published = true\n[train]\nset = {input = "flow", width = 3}\n'
        'cache = "a.h5"\n[bench.train]\nclips = 12\n'
    )
    assert options_of("extract", "--options", str(file))["steps"] == 9
    assert options_of("extract", "--options", str(file))["as-published"] is True
    train = options_of("train", "--options", str(file))
    assert (train["set"], train["cache"]) == (['input="flow"', "width=3"], ["a.h5"])
    assert options_of("bench", "train", "--options", str(file))["clips"] == 12
    assert options_of("info", "--options", str(file))["caches"] == []


def test_the_options_of_a_run_are_a_file_of_options(tmp_path: Path) -> None:
    file = tmp_path / "options.json"
    stored = {"caches": ["a.h5"], "model": "cnn-lstm", "model_options": {"input": "flow"},
              "epochs": None, "keep_weights": False, "runs": "there"}  # fmt: skip
    file.write_text(json.dumps(stored))
    found = options_of("train", "--options", str(file), MECLI_TRAIN_EPOCHS="4")
    assert (found["cache"], found["model"], found["set"]) == (
        ["a.h5"], "cnn-lstm", ['input="flow"'],
    )  # fmt: skip
    assert (found["keep-weights"], found["runs"]) == (False, "there")
    assert "epochs" not in found


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("epoch = 3", 2, "unknown option of train in FILE 'epoch'; did you mean 'epochs'?"),
        ("[train]\nseed = [1, 2]", 3, "FILE: seed is [1, 2], expected one value such as seed = 1"),
        ("final = 1", 3, "FILE: final is 1, expected true or false"),
        ("seed = true", 3, "FILE: seed is True, expected one value"),
        ("seed 3", 3, "FILE: not TOML: "),
    ],
)
def test_a_wrong_file_is_told_in_one_line(tmp_path: Path, text: str, code: int, said: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    result = run("train", "--options", str(file))
    assert result.exit_code == code
    assert said.replace("FILE", str(file)) in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_file_that_is_not_there_or_no_object_is_bad_input(tmp_path: Path) -> None:
    result = run("train", "--options", str(tmp_path / "none.toml"))
    assert (result.exit_code, "none.toml: no such file" in result.stderr) == (3, True)
    (tmp_path / "list.json").write_text("[1]")
    result = run("train", "--options", str(tmp_path / "list.json"))
    assert (result.exit_code, "not a JSON object of options" in result.stderr) == (3, True)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["extract", ""], "SOURCE"),
        (["extract", "a", ""], "SOURCE"),
        (["predict", ""], "CLIP"),
        (["synth", ""], "OUT"),
        (["evaluate", ""], "RUN|CSV|CACHE"),
        (["train", "-c", ""], "--cache"),
        (["predict", "a.mp4", "--checkpoint", ""], "--checkpoint"),
        (["evaluate", "--spotting", "-", "--truth", ""], "--truth"),
    ],
)
def test_an_empty_name_is_not_the_current_folder(words: list[str], named: str) -> None:
    told = run(*words)
    said = f"mecli: {named} is '', expected a name; this folder is called .\n"
    assert (told.exit_code, told.stderr) == (2, said)


def test_an_empty_name_in_a_file_is_not_the_current_folder(tmp_path: Path) -> None:
    file = tmp_path / "options.toml"
    file.write_text('runs = ""', encoding="utf-8")
    told = run("evaluate", "--options", str(file))
    assert (told.exit_code, "--runs is ''" in told.stderr) == (2, True)


def test_several_caches_stand_in_a_variable_as_paths_do_in_path() -> None:
    both = os.pathsep.join(["my cache.h5", "b.h5"])
    assert options_of("train", MECLI_CACHE=both)["cache"] == ["my cache.h5", "b.h5"]
    assert options_of("info", MECLI_CACHE=both)["caches"] == ["my cache.h5", "b.h5"]
    own = options_of("train", MECLI_CACHE=both, MECLI_TRAIN_CACHE="c.h5")
    assert own["cache"] == ["c.h5"]
    result = run("extract", "x", MECLI_CACHE=both)
    assert result.exit_code == 2
    assert "MECLI_CACHE names several caches" in result.stderr
    assert "extract writes one; name it with --cache" in result.stderr


def test_a_string_of_any_characters_survives_toml() -> None:
    odd = 'a"b\\c\nd\x7f é 😀'
    assert tomllib.loads(f"x = {settings._toml(odd)}")["x"] == odd
    assert tomllib.loads(f"x = {settings._toml([1.5, True, 'a'])}")["x"] == [1.5, True, "a"]


def complete(line: str, folder: Path) -> list[str]:
    environment = {"_MECLI_COMPLETE": "complete_bash", "COMP_WORDS": line,
                   "COMP_CWORD": str(line.count(" ")), "MECLI_RUNS": str(folder)}  # fmt: skip
    result = run(**environment)
    return [name for name in result.stdout.split("\n") if name]


def test_the_shell_completes_names_of_the_registry_and_of_runs(tmp_path: Path) -> None:
    done = tmp_path / "20260101-000000-x-loso"
    done.mkdir()
    (done / "run.json").write_text("{}")
    (done / "final.safetensors").write_bytes(b"")
    assert complete("mecli train --model roi-", tmp_path) == ["roi-flow-lstm", "roi-flow-ridge"]
    assert complete("mecli train --model ststnet,roi-flow-r", tmp_path) == [
        "ststnet,roi-flow-ridge"
    ]
    assert complete("mecli extract --corpus casme-", tmp_path) == ["casme-squared"]
    assert set(complete("mecli train --labels ", tmp_path)) == {
        "au",
        *registry.names("label scheme"),
    }
    assert complete("mecli extract --landmarks a", tmp_path) == ["auto"]
    assert complete("mecli extract --flow ", tmp_path) == list(registry.names("flow"))
    assert complete("mecli extract --magnify l", tmp_path) == ["lagrangian:"]
    assert complete("mecli train --selection o", tmp_path) == ["oracle"]
    assert complete("mecli train --resume ", tmp_path) == [str(done)]
    assert complete("mecli evaluate ", tmp_path) == [str(done)]
    assert complete("mecli predict --checkpoint ", tmp_path) == [
        "bundled", "bundled-faces", "bundled-maps", str(done / "final.safetensors"),
    ]  # fmt: skip
    assert complete("mecli extr", tmp_path) == ["extract"]
    (done / "run.json").write_text('{"folds": [{"name": "casme2/01"}, {"name": "smic/s1"}]}')
    assert complete(f"mecli train --resume {done} --fold s", tmp_path) == ["smic/s1"]
    assert complete(f"mecli train --run {tmp_path} --fold ", tmp_path) == []
    assert complete("mecli train --fold ", tmp_path) == []


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("mecli train --model cnn-lstm --preset ", ["paper"]),
        ("mecli models cnn-lstm --preset ", ["paper"]),
        ("mecli models nobodys --preset ", []),
        ("mecli export --format ", ["folders", "flow-archive"]),
        ("mecli synth --format ", ["flat", "casme2"]),
        ("mecli synth --codec n", ["npz"]),
        ("mecli audit --checks persons,cl", ["persons,clips"]),
        ("mecli predict --attribution w", ["weights"]),
        ("mecli extract --cluster l", ["local"]),
        ("mecli guide tut", ["tutorial"]),
        ("mecli guide schema tr", ["train"]),
    ],
)
def test_the_shell_completes_every_choice(line: str, offered: list[str], tmp_path: Path) -> None:
    assert complete(line, tmp_path) == offered


@pytest.mark.parametrize(
    ("verb", "params", "result", "said"),
    [
        ("extract", {"only_list": False, "cache": Path("mecli.h5")}, None,
         "wrote mecli.h5; next: mecli train"),
        ("extract", {"only_list": False, "cache": Path("a b.h5")}, None,
         "wrote a b.h5; next: mecli train -c 'a b.h5'"),
        ("extract", {"only_list": True, "cache": Path("mecli.h5")}, None, ""),
        ("train", {}, [Path("runs/1")], "wrote runs/1; next: mecli evaluate runs/1"),
        ("evaluate", {"runs": ["runs/1"]}, None, "next: mecli audit runs/1"),
        ("evaluate", {"runs": ["peer.CSV"]}, None, ""),
        ("evaluate", {"runs": None, "report": True, "figures": None}, None, ""),
        ("predict", {"csv": Path("a.csv"), "report_file": Path("a.html")}, None,
         "wrote a.csv, a.html"),
        ("predict", {"csv": Path("-"), "report_file": None}, None, ""),
        ("predict", {"csv": Path("a.csv"), "overlay": Path("failed.mp4")}, None, "wrote a.csv"),
        ("check", {"sources": ["CASME2/"]}, None, "next: mecli extract CASME2/"),
        ("synth", {"folder": Path("faces")}, None, "wrote faces; next: mecli extract faces"),
        ("merge", {"out": Path("m.h5")}, None, "wrote m.h5; next: mecli info m.h5"),
        ("merge", {"out": None}, None, ""),
    ],
)  # fmt: skip
def test_the_last_line_says_what_was_written_and_what_follows(
    verb: str,
    params: dict[str, Any],
    result: Any,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("mecli.h5", "a b.h5", "runs", "runs/1", "a.csv", "a.html", "faces", "m.h5"):
        Path(name).mkdir()
    assert closing.line(verb, params, result) == said


@pytest.mark.parametrize(
    ("verb", "params", "said"),
    [
        ("check", {"sources": ["CASME2/"]}, ""),
        ("verify", {"caches": None}, "next: mecli repair"),
        ("verify", {"caches": ["a.h5", "runs/1"]}, "next: mecli repair a.h5 runs/1"),
        ("repair", {"caches": ["a.h5"], "apply": False}, "next: mecli repair a.h5 --apply"),
        ("repair", {"caches": ["a.h5"], "apply": True}, ""),
        ("extract", {"only_list": False, "cache": Path("nothing-was-extracted.h5")}, ""),
    ],
)
def test_after_a_failure_the_last_line_says_what_mends_it(
    verb: str, params: dict[str, Any], said: str
) -> None:
    assert closing.line(verb, params, None, failed=True) == said


@pytest.mark.parametrize(
    ("verb", "params", "said"),
    [
        ("extract", {"only_list": False, "cache": Path("mecli.h5")}, "wrote mecli.h5"),
        ("synth", {"folder": Path("faces")}, "wrote faces"),
        ("verify", {"caches": ["a.h5"]}, "next: mecli repair a.h5"),
    ],
)
def test_where_every_clip_failed_no_verb_goes_on(
    verb: str, params: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mecli.h5").touch()
    Path("faces").touch()
    assert closing.line(verb, params, None, failed=True, nothing=True) == said


def test_the_last_line_is_one_line_whatever_a_file_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    odd = Path("it's\n\x1bodd\\")
    odd.touch()
    said = closing.line("synth", {"folder": odd}, None)
    assert said == r"wrote it's\n\x1bodd\; next: mecli extract $'it\'s\n\x1bodd\\'"


def test_an_extraction_of_which_nothing_came_ends_with_why(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video")
    cache = tmp_path / "m.h5"
    told = run("extract", str(tmp_path / "a.mp4"), "-o", str(cache), "-j", "0")
    assert told.exit_code == 3
    first, *_, last = told.stderr.splitlines()
    assert first == "mecli: 1 failure"
    assert "a.mp4" in last or last == f"wrote {cache}"
    assert "next:" not in told.stderr


def test_what_is_damaged_is_followed_by_repair(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    told = run("verify", str(tmp_path / "a.h5"), "-j", "0")
    assert told.exit_code == 3
    assert told.stderr == f"next: mecli repair {tmp_path / 'a.h5'}\n"


def test_the_last_line_goes_to_stderr_and_not_beside_json(sample: Path) -> None:
    told = run("check", str(sample))
    assert told.stderr == f"next: mecli extract {sample}\n"
    assert run("check", str(sample), "--json").stderr == ""


def test_help_ends_with_examples_environment_and_exit_codes() -> None:
    told = run("bench", "train", "--help").stdout
    assert "Example:\n  mecli bench train --models ststnet --json\n" in told
    assert "MECLI_BENCH_TRAIN_<OPTION>" in told
    assert "3 bad input" in told


def test_help_speaks_of_values_and_not_of_python() -> None:
    for verb in verbs():
        told = run(*verb, "--help").stdout
        assert not re.search(r"<[a-z]|list\[|\[\[", told), verb
        assert re.search(r"^Examples?:\n  mecli ", told, re.MULTILINE), verb
    told = run("predict", "--help").stdout
    assert "--checkpoint PATH" in told
    assert "--face INTEGER" in told


def test_every_verb_is_listed_with_all_of_its_line() -> None:
    for group in ((), ("bench",)):
        told = " ".join(run(*group, "--help", COLUMNS="60").stdout.split())
        assert "..." not in told.partition("Commands:")[2]
    assert "the held-out subject decides nothing." in " ".join(run("--help").stdout.split())
