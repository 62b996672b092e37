"""One word means one thing: options and short letters, held over all verbs."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, get_args

import pytest

from tests.test_settings import verbs

# Each verb says for itself what it counts, writes, replaces or draws.
OWN_WORDS = {
    "cache", "checkpoint", "classes", "clips", "corpus", "folder", "force", "format", "fps",
    "frames", "labels", "long-s", "markdown", "model", "models", "out", "protocol", "seed", "seeds",
    "subjects", "landmarks",
}  # fmt: skip
# Some verbs read many caches, others write one.
ONE_OR_MANY = {"cache"}
LETTERS = {"-c": {"cache"}, "-j": {"jobs"}, "-o": {"cache", "out"}, "-s": {"set"}}
WRITES_ITS_CACHE = "extract"


def options() -> dict[str, dict[str, Any]]:
    """Return long name → verb → parameter of every option."""
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for verb, command in verbs().items():
        for param in command.params:
            if param.param_type_name == "option":
                long = next(name for name in param.opts if name.startswith("--"))
                found[long[2:]][" ".join(verb)] = param
    return found


OPTIONS = options()


def kind(name: str, param: Any) -> tuple[Any, ...]:
    """Return what one has to type after an option."""
    described = getattr(param, "type_descriptor", None)  # since Typer 0.28
    taken = param.type.name if described is None else described.annotation
    if name in ONE_OR_MANY:
        taken = next(iter(get_args(taken)), taken)
    return taken, param.is_flag, tuple(param.secondary_opts), param.metavar


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_an_option_is_written_and_takes_the_same_in_every_verb(name: str) -> None:
    params = OPTIONS[name]
    assert len({kind(name, param) for param in params.values()}) == 1, params
    letters = {verb: {o for o in param.opts if len(o) == 2} for verb, param in params.items()}
    for verb, short in letters.items():
        own = {"-o"} if (name, verb) == ("cache", WRITES_ITS_CACHE) else set()
        assert short - own == letters[min(letters)] - {"-o"} or short == letters[min(letters)]
        assert all(name in LETTERS[letter] for letter in short)


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_an_option_is_explained_in_the_same_words_in_every_verb(name: str) -> None:
    said = {" ".join((param.help or "").split()) for param in OPTIONS[name].values()}
    assert all(said)
    assert not any(words.startswith("[default") for words in said)
    if name not in OWN_WORDS:
        assert len(said) == 1, said


def test_what_needs_its_own_words_has_them() -> None:
    for name in OWN_WORDS:
        said = {param.help for param in OPTIONS[name].values()}
        assert len(said) > 1, f"{name} is explained in the same words everywhere"


def test_every_verb_prints_json_and_says_so_in_the_same_words() -> None:
    assert OPTIONS["json"].keys() == {" ".join(verb) for verb in verbs()}
