"""The models as a table, one of them in full, and both as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mecli.report.tables import Table, number, render

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TextIO


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a model, with its value under the chosen preset."""

    name: str
    kind: str
    value: Any
    choices: tuple[Any, ...]
    about: str


@dataclass(frozen=True, slots=True)
class Cost:
    """What folds of a model took in its newest plain run."""

    run: str
    folds: int
    seconds_per_fold: float


@dataclass(frozen=True, slots=True)
class Card:
    """All there is to say about one model."""

    name: str
    paper: str
    doi: str
    input: str
    shape: tuple[int, ...]
    """Of one clip's features, from a cache with the default options."""
    weights: Mapping[str, int | None]
    """How many each stage has for three classes; None where the training clips decide."""
    options: tuple[Option, ...]
    presets: Mapping[str, Mapping[str, Any]]
    cost: Cost | None

    @property
    def total(self) -> int | None:
        """Weights of all stages."""
        counts = [n for n in self.weights.values() if n is not None]
        return sum(counts) if len(counts) == len(self.weights) else None


def to_json(cards: Sequence[Card]) -> list[dict[str, Any]]:
    """Return one JSON object per model."""
    return [{**asdict(card), "total": card.total} for card in cards]


def list_text(cards: Sequence[Card], stream: TextIO | None = None) -> str:
    """Return one row per model: input, weights, cost per fold where measured, source."""
    rows = [[c.name, c.input, _source(c.paper), c.doi, _count(c.total), _seconds(c)] for c in cards]
    table = Table(["model", "input", "source", "DOI", "weights", "s/fold"], rows, left=4)
    notes = [
        "weights: for three classes; – where the training clips decide (support vectors)",
        "s/fold: measured here, in the newest plain run with these options; – before its first",
    ]
    return render([table, "\n".join(notes)], stream)


def card_text(card: Card, stream: TextIO | None = None) -> str:
    """Return all about one model: source, input, weights per stage, options, presets."""
    stages = [f"{name} {_count(n)}" for name, n in card.weights.items()]
    about = [
        ["paper", card.paper],
        ["DOI", card.doi],
        ["input", f"{card.input}, {'×'.join(map(str, card.shape))} per clip"],
        ["weights", f"{_count(card.total)} ({', '.join(stages)})"],
        ["s/fold", _seconds(card) + (f" (run {card.cost.run})" if card.cost else "")],
        ["presets", ", ".join(card.presets) or "none"],
    ]
    blocks: list[str | Table] = [Table([card.name, ""], about, left=2)]
    options = [[o.name, _value(o.value), _kind(o), o.about] for o in card.options]
    blocks.append(Table(["--set", "value", "type", ""], options, left=4))
    for name, given in card.presets.items():
        rows = [[option, _value(value)] for option, value in given.items()]
        blocks.append(Table([f"--preset {name}", "value"], rows, left=2))
    return render(blocks, stream)


def checkpoint_text(told: Mapping[str, Any], stream: TextIO | None = None) -> str:
    """Return all that a checkpoint says about itself, one fact a line."""
    rows = [
        [f"{name}.{part}" if part else name, _told(value)]
        for name, whole in sorted(told.items())
        for part, value in (whole.items() if isinstance(whole, dict) else [("", whole)])
    ]
    return render([Table(["checkpoint", ""], rows, left=2)], stream)


def _source(paper: str) -> str:
    """Return authors, venue and year of ``authors, title, venue year``."""
    first, *_, last = paper.split(", ")
    return f"{first}, {last}"


def _count(weights: int | None) -> str:
    return "–" if weights is None else f"{weights:,}"


def _seconds(card: Card) -> str:
    return number(card.cost.seconds_per_fold, 2) if card.cost else "–"


def _kind(option: Option) -> str:
    return " | ".join(map(str, option.choices)) or option.kind


def _told(value: Any) -> str:
    """Return what a checkpoint says of itself in words, whatever it is nested in."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_told(part)}" for name, part in value.items())
    if isinstance(value, (list, tuple)):
        nested = any(isinstance(part, (dict, list, tuple)) for part in value)
        return ("; " if nested else ", ").join(map(_told, value)) or "none"
    return "–" if value in (None, "") else _value(value)


def _value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
