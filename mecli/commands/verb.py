"""What every verb has in common: options from files, completion, a last word, its help."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer
from typer.core import TyperCommand, TyperGroup

from mecli import terminal
from mecli.commands import closing, completion, settings
from mecli.commands.flags import Failed
from mecli.errors import EXIT_CODES, InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

_EXAMPLE = "Example: "
_LINE = 200
_KINDS = {str: "TEXT", int: "INTEGER", float: "FLOAT", Path: "PATH", bool: ""}


def _shared(
    options_file: Annotated[
        Path | None,
        typer.Option(
            "--options",
            help="Take options from this TOML file, or from a run's options.json; those of the "
            "command line go before.",
        ),
    ] = None,
    print_options: Annotated[
        bool,
        typer.Option("--print-options", help="Print all options as TOML for --options, and stop."),
    ] = False,
) -> None:
    """Hold the options that all verbs share."""


@cache
def _shared_params() -> tuple[Any, ...]:
    app = typer.Typer(add_completion=False)
    app.command()(_shared)
    params = tuple(typer.main.get_command(app).params)
    for param in params:
        _tidy(param)
    return params


class Verb(TyperCommand):
    """A command whose options may also come from a file or the environment."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.own: list[Any] = list(self.params)
        self.environment: dict[str, str] = {}
        for param in self.own:
            _tidy(param)
            completion.attach(param, settings.key(param))
            if isinstance(param.envvar, str):
                # Looked up here, where a file goes before it.
                self.environment[param.name] = param.envvar
                param.help = f"{param.help} [env var: {param.envvar}]"
                param.envvar = None
        self.params += _shared_params()
        body, self._examples = _without_examples(self.help or "")
        self.help = body

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse `args`, on top of what the file of --options and the environment say."""
        first: dict[str, Any] = {}
        if not ctx.resilient_parsing:
            first, _, _ = self.make_parser(ctx).parse_args(list(args))
        path = words(ctx)
        ctx.default_map = settings.from_environment(path, self.own, self.environment)
        if first.get("options_file"):
            file, verbs = Path(first["options_file"]), ctx.find_root().command.commands
            ctx.default_map |= settings.from_file(file, path, self.own, verbs)
            settings.refuse_empty(self.own, ctx.default_map)
        settings.refuse_empty(self.own, first)
        if first.get("print_options"):
            for param in self.own:
                param.required = False
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the verb, or print its options; then say what was written and what comes next."""
        del ctx.params["options_file"]
        if ctx.params.pop("print_options"):
            terminal.show(settings.to_toml(words(ctx), self.own, ctx.params))
            return None
        try:
            result = super().invoke(ctx)
        except typer.Exit as left:
            if left.exit_code == InputError.exit_code:
                nothing = isinstance(left, Failed) and not left.others
                self._close(ctx, None, failed=True, nothing=nothing)
            raise
        self._close(ctx, result)
        return result

    def _close(self, ctx: Any, result: Any, **ended: bool) -> None:
        line = closing.line(" ".join(words(ctx)), ctx.params, result, **ended)
        if line and not ctx.params.get("json"):
            terminal.note(line)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write examples, where options may come from and the exit codes below the options."""
        for title, lines in (
            ("Example" if len(self._examples) == 1 else "Examples", self._examples),
            ("Environment", [_environment_text(words(ctx))]),
            ("Exit codes", [", ".join(f"{code} {what}" for code, what in EXIT_CODES.items())]),
        ):
            if lines:
                with formatter.section(title):
                    for line in lines:
                        formatter.write_text(line)


class Verbs(TyperGroup):
    """Several verbs; each is listed with all of its line, which may take two."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, about(one)) for name, one in self.commands.items()])


def about(command: Any) -> str:
    """Return the one line that says what `command` does."""
    return str(command.get_short_help_str(limit=_LINE))


def words(ctx: Any) -> Sequence[str]:
    """Return the verb of `ctx` as words, such as ``("bench", "train")``."""
    names: list[str] = []
    while ctx.parent is not None:
        names.insert(0, str(ctx.info_name))
        ctx = ctx.parent
    return names


def _environment_text(verb: Sequence[str]) -> str:
    prefix = "_".join(("mecli", *verb)).upper()
    return f"{prefix}_<OPTION> sets an option for good, with _ for -; see `mecli guide options`."


def _tidy(param: Any) -> None:
    # Typer writes dots behind a name that stands for several.
    if param.metavar and param.nargs != 1:
        param.metavar = param.metavar.removesuffix("...")
    if hasattr(param, "display_type_rich"):
        shown = _kind(param)
        param.display_type_rich = lambda ctx: shown


def _kind(param: Any) -> str | None:
    """Return the word for a value in place of its Python type, as Typer had it until 0.28."""
    if param.param_type_name == "argument":
        return None  # it is named already
    annotation = param.type_descriptor.annotation
    one = next(iter(get_args(annotation)), annotation)
    return str(param.metavar or _KINDS[one])


def _without_examples(text: str) -> tuple[str, list[str]]:
    """Return `text` without its paragraphs of examples, and the commands in those."""
    paragraphs = text.split("\n\n")
    examples = [p for p in paragraphs if p.startswith(_EXAMPLE)]
    body = "\n\n".join(p for p in paragraphs if p not in examples)
    lines = [" ".join(e.removeprefix(_EXAMPLE).split()) for e in examples]
    return body, lines
