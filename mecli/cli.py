"""The command line: each command parses, calls one function and prints its result."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mecli import __version__, files, terminal
from mecli.commands import (
    audit,
    bench,
    caches,
    check,
    doctor,
    evaluate,
    export,
    extract,
    guide,
    models,
    predict,
    preview,
    spot,
    synth,
    train,
)
from mecli.commands.verb import Verb, Verbs, about
from mecli.errors import INTERRUPTED, InputError, MecliError

if TYPE_CHECKING:
    from collections.abc import Iterator

_BROKEN_PIPE = 141
_WIDEST = 100


@contextlib.contextmanager
def _answering() -> Iterator[None]:
    """Turn an expected failure into one line on stderr and its exit code."""
    try:
        yield
    except MecliError as error:
        _last_word(f"mecli: {error}")
        raise typer.Exit(error.exit_code) from error
    except KeyboardInterrupt as error:
        _last_word(f"mecli: interrupted; {str(error) or 'what is finished is kept'}")
        raise typer.Exit(INTERRUPTED) from error
    except BrokenPipeError as error:
        # The reader (such as `head`) has what it wants.
        _write_no_more()
        raise typer.Exit(_BROKEN_PIPE) from error
    except OSError as error:
        if _is_nowhere():
            _last_word("mecli: the working folder has been removed; change into another one")
            raise typer.Exit(InputError.exit_code) from error
        if not files.is_refusal(error):
            raise
        if error.filename is None:
            _write_no_more()
            refused: InputError = files.not_written(error, "standard output")
        else:
            refused = InputError(f"{os.fspath(error.filename)!s}: {error.strerror}")
        _last_word(f"mecli: {refused}")
        raise typer.Exit(refused.exit_code) from error


def _is_nowhere() -> bool:
    try:
        os.getcwd()  # noqa: PTH109 - a path would be made only to be thrown away
    except FileNotFoundError:
        return True
    return False


def _last_word(text: str) -> None:
    with contextlib.suppress(BrokenPipeError):
        terminal.note(text)


def _write_no_more() -> None:
    """Give what waits to be written to stdout nowhere to go: Python tries again as it leaves."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Group(Verbs):
    """Tells an expected failure, of a verb or of the words before it, in one line."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Parse, run, leave; usage that stderr does not take changes no exit code."""
        try:
            return super().main(*args, **kwargs)
        except OSError as error:
            untold = getattr(error.__context__, "exit_code", None)
            if untold is None:
                raise
            raise SystemExit(untold) from error

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Parse the words before the verb, of which --help and --version print."""
        with _answering():
            try:
                return super().make_context(*args, **kwargs)
            except typer.Exit:
                sys.stdout.flush()
                raise

    def invoke(self, ctx: Any) -> Any:
        """Run the command; a bug keeps its traceback."""
        with _answering():
            result = super().invoke(ctx)
            sys.stdout.flush()
        return result


app = typer.Typer(
    cls=_Group,
    name="mecli",
    help="Recognise facial micro-expressions, honestly and fast.",
    epilog="A first run: mecli extract sample_data && mecli train && mecli evaluate",
    invoke_without_command=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": _WIDEST},
)


def _version(wanted: bool) -> None:
    if wanted:
        terminal.show(f"mecli {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    ctx: typer.Context,
    _version_wanted: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    terminal.raise_on_signals()
    terminal.spell_out()
    if ctx.invoked_subcommand is None:
        terminal.show(_map(ctx.command))


def _map(root: Any) -> str:
    """Return where one is, and every verb with its one line."""
    from mecli import whereabouts
    from mecli.report.here import map_text

    verbs = [(name, about(one)) for name, one in root.commands.items()]
    here = whereabouts.look(whereabouts.named_caches(), whereabouts.named_runs())
    return map_text(here, verbs, __version__, sys.stdout)


app.command()(extract.extract)
app.command()(train.train)
app.command()(evaluate.evaluate)
app.command()(predict.predict)
app.command()(spot.spot)
app.command()(audit.audit)
app.command()(check.check)
app.command()(preview.preview)
app.command()(caches.info)
app.command()(caches.verify)
app.command()(caches.repair)
app.command()(caches.merge)
app.command()(export.export)
app.command()(synth.synth)
app.command()(models.models)
app.command()(doctor.doctor)
app.command()(guide.guide)
app.add_typer(bench.app, name="bench")
for _command in (*app.registered_commands, *bench.app.registered_commands):
    _command.cls = Verb


def main() -> None:
    """Run the command line and leave with its exit code."""
    terminal.hold_streams()
    app(prog_name="mecli")
