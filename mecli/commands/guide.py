"""The command ``guide``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from mecli import terminal
from mecli.commands import settings
from mecli.commands.flags import Json
from mecli.errors import UsageError


def guide(
    ctx: typer.Context,
    topic: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TOPIC|schema NAME",
            help="What to read about; 'schema' and a name print the JSON Schema of an output.",
            show_default=False,
        ),
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Print the Markdown as it is.")] = False,
    json: Json = False,
) -> None:
    """Read the guide: tutorial, how-to, reference and background, made for this version.

    Example: mecli guide tutorial

    Example: mecli guide schema predict
    """
    from mecli.guide import topics
    from mecli.report.tables import Table, render

    name, *rest = topic or [""]
    if name == "schema" and len(rest) == 1:
        terminal.show_json(topics.schema(rest[0]))
    elif rest:
        raise UsageError(f"guide {' '.join([name, *rest])}: expected one topic")
    elif name == "schema":
        terminal.show("\n".join(topics.schemas()))
    elif not name and json:
        terminal.show_json([{"topic": t, "title": said} for t, said in topics.titles().items()])
    elif not name:
        rows = [[t, said] for t, said in topics.titles().items()]
        rows.append(["schema NAME", f"JSON Schema of: {', '.join(topics.schemas())}"])
        terminal.show(render([Table(["mecli guide", ""], rows, left=2)], sys.stdout))
    else:
        page = topics.page(name, list(_verbs(ctx.find_root().command)))
        if json:
            terminal.show_json(page.as_json())
        elif raw or not sys.stdout.isatty():
            terminal.show(page.markdown)
        else:
            _render(page.markdown)


def _render(markdown: str) -> None:
    from rich.console import Console
    from rich.markdown import Markdown

    Console().print(Markdown(markdown))


def _verbs(group: Any, *before: str) -> Iterator[Any]:
    """Yield every verb below `group` with key, environment and help of its own options."""
    from mecli.guide.topics import Verb

    for name, command in group.commands.items():
        words = (*before, name)
        if hasattr(command, "commands"):
            yield from _verbs(command, *words)
            continue
        options = []
        for key, param in settings.keyed(command.own).items():
            variables = settings.variables(words, param, command.environment.get(param.name))
            options.append((key, ", ".join(variables) or "–", " ".join((param.help or "").split())))
        yield Verb(" ".join(words), options)
