"""What ``train`` did, in a few lines and as JSON."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from mecli import registry
from mecli.report.tables import Table, count, number, render

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TextIO


_TITLES = {"uf1": "UF1", "uar": "UAR"}
_SELECTIONS = {
    "last": "last epoch",
    "inner": "inner, but there was nothing to choose",
    "oracle": "last epoch; what an oracle would pick is LEAKED",
}
_NO_CHECKPOINT = {False: "none (--no-final)", True: "none: selection oracle writes no weights"}


def train_text(result: Mapping[str, Any], stream: TextIO | None = None) -> str:
    """Return the run folder, what it holds and how the held-out clips were scored.

    `result` is the JSON object of a `TrainResult`.
    """
    rows = [
        ["run", result["run"]],
        ["clips", f"{result['clips']} in {count(result['folds'], 'fold')}"],
        ["excluded", _reasons(result["excluded"])],
        *_weights(result),
        *([title, _score(result, name)] for name, title in _TITLES.items()),
        *([f"{title}, LEAKED", leaked] for title, leaked in _leaked(result)),
        ["checkpoint", result["final"] or _NO_CHECKPOINT[result["selection"] == "oracle"]],
        ["temperature", _temperature(result["temperature"])],
    ]
    return render([Table(["train", ""], rows, left=2)], stream)


def trained_text(results: Sequence[Mapping[str, Any]], stream: TextIO | None = None) -> str:
    """Return one row per model that was trained, and who was left out of all of them.

    `results` are JSON objects of `TrainResult`s, each with its model's name.
    """
    leaks = any("LEAKED" in r for r in results)
    rows = [
        [
            r["model"],
            r["run"],
            str(r["folds"]),
            *(_score(r, name) for name in _TITLES),
            *(number(r["LEAKED"][name]) for name in _TITLES if leaks),
        ]
        for r in results
    ]
    header = [*_TITLES.values(), *(f"{title}, LEAKED" for title in _TITLES.values() if leaks)]
    first = results[0]
    notes = f"{first['clips']} clips; excluded {_reasons(first['excluded'])}"
    return render([Table(["model", "run", "folds", *header], rows, left=2), notes], stream)


def units_text(results: Sequence[Mapping[str, Any]], stream: TextIO | None = None) -> str:
    """Return where the runs of all action units are, F1 of each, and who has none.

    `results` are JSON objects of `UnitsResult`s.
    """
    blocks: list[str | Table] = []
    for result in results:
        blocks.append(f"run {result['run']}")
        table = result["action_units"]
        if table is not None:
            rows = [[r["name"], str(r["clips"] or ""), number(r["F1"])] for r in table["rows"]]
            blocks.append(Table([table["title"], "clips", "F1"], rows))
        if result["skipped"]:
            blocks.append("\n".join(f"{u.upper()}: {why}" for u, why in result["skipped"].items()))
    return render(blocks, stream)


def _score(result: Mapping[str, Any], name: str) -> str:
    """Write a score; of several seeds the ensemble's, and how they spread."""
    text = number(result[name])
    if "seed_mean" not in result:
        return text
    spread = f"{number(result['seed_mean'][name])} ± {number(result['seed_sd'][name])}"
    return f"{text} ensemble of {len(result['by_seed'])} seeds ({spread} each)"


def _leaked(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    leaked = result.get("LEAKED")
    if leaked is None:
        return []
    return [
        (title, f"{number(leaked[name])} ({leaked['note']})") for name, title in _TITLES.items()
    ]


def _weights(result: Mapping[str, Any]) -> list[list[str]]:
    """Return the rows on what the weights were made of."""
    if result["model"] in registry.SOLVED:
        return [["weights", "solved for: no epochs, no draws"]]
    begun = _begun(result["pretrained"])
    return [["begun with", begun], ["selection", _selection(result)]]


def _selection(result: Mapping[str, Any]) -> str:
    chosen = [
        epochs
        for folds in result["epochs_chosen"].values()
        for stages in folds.values()
        for epochs in stages.values()
    ]
    if not chosen:
        return _SELECTIONS[result["selection"]]
    middle = sorted(chosen)[len(chosen) // 2]
    return f"inner: epoch {min(chosen)} to {max(chosen)}, median {middle}"


def _begun(pretrained: str) -> str:
    if pretrained == "none":
        return "weights drawn by the seed"
    return f"{pretrained}, trained on other people (--pretrained none to begin with nothing)"


def _temperature(value: float | None) -> str:
    if value is None:
        return "none, nobody was held out: scores of predict are not calibrated"
    return f"{value:.3g}, by the held-out scores"


def _reasons(excluded: Mapping[str, str]) -> str:
    if not excluded:
        return "0"
    (reason, times), *others = Counter(excluded.values()).most_common()
    more = f" and {count(len(others), 'other reason')}" if others else ""
    return f"{len(excluded)} ({times}: {reason}{more}; all in run.json)"
