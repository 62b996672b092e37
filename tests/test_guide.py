"""The guide says what is true: its commands run or parse, and its made parts are made."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from mecli import cli, registry
from mecli.errors import EXIT_CODES
from mecli.guide import topics
from tests import published

RUNNER = CliRunner()
README = Path(__file__).parent.parent / "README.md"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def run(*arguments: str) -> Any:
    return RUNNER.invoke(cli.app, list(arguments), prog_name="mecli")


def text_of(topic: str) -> str:
    return topics.page(topic).markdown


def blocks(text: str, kind: str) -> list[str]:
    return [body for word, body in _BLOCK.findall(text) if word == kind]


def commands(text: str) -> list[list[str]]:
    """Return every command of mecli in the shell blocks of `text`, as words."""
    found = []
    for block in blocks(text, "sh") + blocks(text, "console"):
        for line in block.replace("\\\n", " ").split("\n"):
            lexer = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars=True)
            lexer.whitespace_split = True
            words = ["|"]
            for word in [*lexer, "|"]:
                if not set(word) <= set("();<>|&"):
                    words.append(word)
                    continue
                if words[0] != ">" and words[1:2] == ["mecli"]:
                    found.append(words[2:])
                words = [word]
    return found


PAGES = {**{topic: topic for topic in topics.TOPICS}, "README": "README"}


@pytest.mark.parametrize("page", PAGES)
def test_every_command_that_is_shown_is_one(page: str) -> None:
    text = README.read_text(encoding="utf-8") if page == "README" else text_of(page)
    root: Any = typer.main.get_command(cli.app)
    for words in commands(text):
        if not words:
            continue
        command, rest = root, words
        path = []
        while hasattr(command, "commands"):
            assert rest[0] in command.commands, words
            path.append(rest[0])
            command, rest = command.commands[rest[0]], rest[1:]
        parser = command.make_parser(command.make_context(path[-1], [], resilient_parsing=True))
        parser.parse_args(args=list(rest))


def test_pages_that_show_commands_were_looked_at() -> None:
    assert len(commands(README.read_text(encoding="utf-8"))) > 5
    assert ["extract", "sample_data"] in commands(text_of("tutorial"))


@pytest.mark.slow
def test_the_tutorial_and_the_python_run_as_they_stand(
    sample: Path, sample_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sample_data").symlink_to(sample)
    shutil.copyfile(sample_cache, tmp_path / "mecli.h5")
    for words in commands(text_of("tutorial")):
        result = run(*words, *(["-j", "0"] if words[0] in {"train", "predict"} else []))
        assert result.exit_code == 0, (words, result.stderr)
    assert "UF1" in run("evaluate").stdout
    verbs: dict[str, Any] = {}
    long: dict[str, Any] = {}
    for program, known in zip(blocks(text_of("python"), "python"), (verbs, long), strict=True):
        exec(compile(program, "guide", "exec"), known)
    assert verbs["done"].extracted == 0
    assert verbs["answer"].prediction in {"negative", "positive", "surprise"}
    assert (long["answer"].kind, len(long["frames"])) == ("micro", 500)


def test_made_parts_come_from_the_code() -> None:
    assert all(f"| {code} | {what} |" in text_of("exit-codes") for code, what in EXIT_CODES.items())
    assert "MissingDependency      4" in text_of("exit-codes")
    assert all(f"`{name}`" in text_of("own-model") for name in registry.names("model"))
    formats = text_of("formats")
    assert "landmark_positions" in formats
    assert "options.json" in formats
    assert all(f"| `{name}` |" in formats for name in published.names())
    options = run("guide", "options").stdout
    assert "| `epochs` | `MECLI_TRAIN_EPOCHS` |" in options
    assert "| `cache` | `MECLI_TRAIN_CACHE, MECLI_CACHE` |" in options
    assert "## bench train" in options
    assert not any("{{" in text_of(topic) for topic in topics.TOPICS)


def test_the_guide_lists_its_topics_and_shows_one() -> None:
    told = run("guide").stdout
    assert all(topic in told for topic in topics.TOPICS)
    assert {path.stem for path in topics._PAGES.glob("*.md")} == set(topics.TOPICS)
    listed = json.loads(run("guide", "--json").stdout)
    published.check("guide", listed)
    one = json.loads(run("guide", "ethics", "--json").stdout)
    published.check("guide", one)
    assert run("guide", "ethics", "--raw").stdout == text_of("ethics") == one["markdown"]
    assert {"topic": "ethics", "title": one["title"]} in listed


def test_schemas_are_printed_by_name() -> None:
    assert json.loads(run("guide", "schema", "predict").stdout) == published.schema("predict")
    assert run("guide", "schema").stdout.split() == published.names()
    result = run("guide", "schema", "predikt")
    assert (result.exit_code, "did you mean 'predict'" in result.stderr) == (2, True)


def test_an_unknown_topic_is_usage_and_names_the_nearest() -> None:
    result = run("guide", "tutorail")
    assert (result.exit_code, "did you mean 'tutorial'?" in result.stderr) == (2, True)
    assert run("guide", "ethics", "gpu").exit_code == 2


def test_markdown_is_drawn_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    from mecli.commands.guide import _render

    _render("# A title\n\n- one")
    said = capsys.readouterr().out
    assert "A title" in said
    assert "#" not in said
