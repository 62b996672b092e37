"""The guide: pages of Markdown beside this file, with parts that are made from the code.

A line ``{{models}}`` in a page stands for such a part, so that it cannot grow old.
"""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mecli
from mecli import doubts, errors
from mecli.errors import UnknownName

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_ROOT = Path(mecli.__file__).parent
_PAGES, _SCHEMAS = _ROOT / "guide", _ROOT / "schemas_json"
_PART = re.compile(r"^\{\{(\w+)\}\}$", re.MULTILINE)
# In the order in which one reads them.
TOPICS = (
    "tutorial",
    "own-data",
    "own-model",
    "cluster",
    "gpu",
    "options",
    "python",
    "formats",
    "exit-codes",
    "honesty",
    "results",
    "synthetic",
    "ethics",
)


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb as the command line knows it: its words, and name, variable and help of options."""

    name: str
    options: Sequence[tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the guide, with its made parts in place."""

    topic: str
    title: str
    markdown: str

    def as_json(self) -> dict[str, Any]:
        """Return the page as one JSON object."""
        return {"topic": self.topic, "title": self.title, "markdown": self.markdown}


def titles() -> dict[str, str]:
    """Return topic → title of every page."""
    return {topic: _title(_text(topic)) for topic in TOPICS}


def page(topic: str, verbs: Sequence[Verb] = ()) -> Page:
    """Return the page about `topic`; `verbs` are for the tables of options.

    Raises `UnknownName` if there is none.
    """
    if topic not in TOPICS:
        raise UnknownName("topic", topic, TOPICS)
    text = _text(topic)

    def made(found: re.Match[str]) -> str:
        return _MADE[found[1]](verbs).rstrip("\n")

    return Page(topic, _title(text), _PART.sub(made, text))


def schemas() -> list[str]:
    """Return the names of the JSON Schemas of what ``--json`` prints."""
    return sorted(path.stem for path in _SCHEMAS.glob("*.json"))


def schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema called `name`; raises `UnknownName` if there is none."""
    if name not in schemas():
        raise UnknownName("schema", name, schemas())
    read: dict[str, Any] = json.loads((_SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    return read


def _text(topic: str) -> str:
    return (_PAGES / f"{topic}.md").read_text(encoding="utf-8")


def _title(text: str) -> str:
    return text.partition("\n")[0].removeprefix("# ")


def _docstring(module: str) -> str:
    """Return the text at the top of a module without importing it."""
    source = (_ROOT / module).read_text(encoding="utf-8")
    return ast.get_docstring(ast.parse(source)) or ""


def _indented(module: str) -> str:
    return f"```text\n{_docstring(module)}\n```"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(c.replace('|', '/') for c in line)} |" for line in lines)


def _models(_verbs: Sequence[Verb]) -> str:
    from mecli import zoo

    rows = [
        [f"`{card.name}`", card.input, "–" if card.total is None else f"{card.total:,}", card.paper]
        for card in zoo.models()
    ]
    return _table(["model", "input", "weights", "source"], rows)


def _doubts() -> list[list[str]]:
    return [[f"`{name}`", about] for name, about in doubts.REASONS.items()]


def _exit_codes(_verbs: Sequence[Verb]) -> str:
    return _table(
        ["code", "meaning"], [[str(code), what] for code, what in errors.EXIT_CODES.items()]
    )


def _error_tree(_verbs: Sequence[Verb]) -> str:
    return _indented("errors.py")


def _options(verbs: Sequence[Verb]) -> str:
    parts = []
    for verb in verbs:
        rows = [[f"`{key}`", f"`{name}`", about] for key, name, about in verb.options]
        parts.append(f"## {verb.name}\n\n" + _table(["key", "environment", "meaning"], rows))
    return "\n\n".join(parts)


def _schema_list(_verbs: Sequence[Verb]) -> str:
    return _table(["schema", "of"], [[f"`{name}`", schema(name)["title"]] for name in schemas()])


_MADE: Mapping[str, Callable[[Sequence[Verb]], str]] = {
    "models": _models,
    "doubts": lambda _verbs: _table(["reason", "what was found"], _doubts()),
    "exit_codes": _exit_codes,
    "errors": _error_tree,
    "cache": lambda _verbs: _indented("cache/__init__.py"),
    "run": lambda _verbs: _indented("training/folder.py"),
    "options": _options,
    "schemas": _schema_list,
}
