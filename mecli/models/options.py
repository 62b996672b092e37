"""Options of a model from a preset and from words of the command line, checked by type."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from mecli.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


def resolve(model: Any, given: Mapping[str, Any], preset: str | None = None) -> Any:
    """Return `model`'s options: its defaults, then those of `preset`, then `given`.

    Values may be text, as the command line has them. Raises `UnknownName` for a preset or
    option that the model does not have and `UsageError` for a value of another type.
    """
    if preset is not None and preset not in model.presets:
        raise UnknownName(f"preset of {model.name}", preset, sorted(model.presets))
    known = {f.name for f in fields(model.Options)}
    values = {**(model.presets[preset] if preset else {}), **given}
    for name in values:
        if name not in known:
            raise UnknownName(f"option of {model.name}", name, sorted(known))
    hints = get_type_hints(model.Options)
    return model.Options(**{n: _typed(model.name, n, v, hints[n]) for n, v in values.items()})


def as_dict(options: Any) -> dict[str, Any]:
    """Return resolved options ready for JSON."""
    return asdict(options)


def _typed(model: str, name: str, value: Any, hint: Any) -> Any:
    choices = get_args(hint)
    if choices:
        if value not in choices:
            raise UnknownName(f"{name} of {model}", str(value), choices)
        return value
    try:
        if hint is bool:
            return _truth(value)
        if isinstance(value, bool) or (hint is int and float(value) != int(float(value))):
            raise ValueError("wrong type")
        return hint(float(value)) if hint is int else hint(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise UsageError(
            f"option {name} of {model} is {value!r}, expected {hint.__name__}"
        ) from error


def _truth(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).casefold()
    if word not in {"true", "false"}:
        raise ValueError("neither true nor false")
    return word == "true"
