"""Options that do not come from the command line: a TOML file, the environment.

The command line beats the file of ``--options``, that beats the environment, and that the
default. A key is the long name of an option without its dashes, or the name of an argument;
of an argument that is called like an option, ``arguments``.
"""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from mecli import files
from mecli.errors import InputError, UnknownName, UsageError

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

CACHE = "MECLI_CACHE"
# What the options.json of a run calls otherwise than the command line.
_RUN_NAMES = {"model_options": "set"}


def key(param: Any) -> str:
    """Return what `param` is called in a file: ``keep-weights`` for ``--keep-weights``."""
    long = [name[2:] for name in param.opts if name.startswith("--")]
    return long[0] if long else str(param.name)


def keyed(params: Iterable[Any]) -> dict[str, Any]:
    """Return key → parameter of all `params`, in their order."""
    every = list(params)
    options = {key(param) for param in every if param.param_type_name == "option"}
    return {
        "arguments" if p.param_type_name == "argument" and key(p) in options else key(p): p
        for p in every
    }


def several(param: Any) -> bool:
    """Whether `param` takes a list."""
    return bool(getattr(param, "multiple", False)) or param.nargs != 1


def _is_path(param: Any) -> bool:
    if hasattr(param, "type_descriptor"):
        return _holds_path(param.type_descriptor.annotation)
    return str(param.type.name) == "path"  # Typer until 0.28


def _holds_path(annotation: Any) -> bool:
    return annotation is Path or any(map(_holds_path, get_args(annotation)))


def refuse_empty(params: Iterable[Any], values: Mapping[str, Any]) -> None:
    """Raise `UsageError` if an argument or a path among `values`, by parameter name, is empty.

    It would be the current folder, which nobody means by a shell variable that is not set.
    """
    for param in params:
        value = values.get(param.name)
        words = value if isinstance(value, (list, tuple)) else [value]
        if "" in words and (param.param_type_name == "argument" or _is_path(param)):
            named = param.metavar or f"--{key(param)}"
            raise UsageError(f"{named} is '', expected a name; this folder is called .")


def variables(verb: Sequence[str], param: Any, shared: str | None) -> tuple[str, ...]:
    """Return the environment variables that set `param`, the one that wins first."""
    own = "_".join(("mecli", *verb, key(param))).replace("-", "_").upper()
    options = (own,) if param.param_type_name == "option" else ()
    return (*options, shared) if shared else options


def from_environment(
    verb: Sequence[str], params: Iterable[Any], shared: Mapping[str, str]
) -> dict[str, Any]:
    """Return parameter name → value of all `params` that the environment sets.

    `shared` says which parameters have a variable in common with other verbs. A list is
    split at ``os.pathsep`` (``:``), as in PATH.
    """
    found: dict[str, Any] = {}
    for param in params:
        for name in variables(verb, param, shared.get(param.name)):
            text = os.environ.get(name)
            if not text:
                continue
            if several(param):
                found[param.name] = [part for part in text.split(os.pathsep) if part]
            elif name == CACHE and os.pathsep in text:
                raise UsageError(
                    f"{CACHE} names several caches ({text}), but {' '.join(verb)} writes one; "
                    "name it with --cache"
                )
            else:
                found[param.name] = text
            break
    return found


def from_file(
    path: Path, verb: Sequence[str], params: Iterable[Any], verbs: Container[str]
) -> dict[str, Any]:
    """Return parameter name → value of what the file at `path` says for `verb`.

    The file is TOML, with the options of the verb at its top or in a table named after it;
    tables of the other `verbs` are for them. The ``options.json`` of a run does too. Raises
    `UnknownName` for a key that is no option, `InputError` for a value of the wrong kind.
    """
    by_key = keyed(params)
    by_name = {param.name: param for param in by_key.values()}
    wanted: dict[str, Any] = {}
    for name, value in _options(_read(path), verb, verbs):
        written = _RUN_NAMES.get(name, name)
        dashed = written.replace("_", "-")
        param = by_key.get(written) or by_key.get(dashed) or by_name.get(written)
        if param is None:
            raise UnknownName(f"option of {' '.join(verb)} in {path}", name, sorted(by_key))
        wanted[param.name] = _value(f"{path}: {name}", value, param)
    return wanted


def _read(path: Path) -> dict[str, Any]:
    if path.suffix == ".json":
        document = files.read_json(path)
        if not isinstance(document, dict):
            raise InputError(f"{path}: not a JSON object of options")
        return document
    try:
        return tomllib.loads(files.read_text(path, encoding="utf-8"))
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not TOML: {error}") from error


def _options(
    document: Mapping[str, Any], verb: Sequence[str], verbs: Container[str]
) -> Iterator[tuple[str, Any]]:
    """Yield what stands at the top, then what stands in the table of the verb and so wins."""
    for name, value in document.items():
        if not (isinstance(value, dict) and name in verbs):
            yield name, value
    own: Any = document
    for word in verb:
        own = own.get(word) if isinstance(own, dict) else None
    if isinstance(own, dict):
        yield from own.items()


def _value(where: str, value: Any, param: Any) -> Any:
    """Return `value` as the words that the command line would bring."""
    if value is None:
        return None
    if several(param):
        if isinstance(value, dict):
            return [f"{name}={json.dumps(one)}" for name, one in value.items()]
        return [str(one) for one in (value if isinstance(value, list) else [value])]
    if getattr(param, "is_flag", False):
        if not isinstance(value, bool):
            raise InputError(f"{where} is {value!r}, expected true or false")
        return value
    if isinstance(value, (list, dict, bool)):
        raise InputError(f"{where} is {value!r}, expected one value such as {key(param)} = 1")
    return str(value)


def to_toml(verb: Sequence[str], params: Iterable[Any], values: Mapping[str, Any]) -> str:
    """Return `values` as the table of `verb` that `from_file` takes back, with what each means.

    What is not set is a comment: TOML has no word for nothing.
    """
    lines = [f"[{'.'.join(verb)}]"]
    for name, param in keyed(params).items():
        value = values.get(param.name)
        if param.help:
            lines.append(f"# {' '.join(param.help.split())}")
        written = "" if value is None else _toml(value)
        lines.append(f"{'' if written else '# '}{name} = {written}".rstrip())
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value)
    # A TOML string is a JSON string but for one character that JSON leaves as it is.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
