"""What a checkpoint asks of clips: how they are extracted, and what its model looks at."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mecli import registry
from mecli.errors import InputError
from mecli.landmarks.choose import resolve
from mecli.recipe import Recipe
from mecli.steps import EVERYTHING, Need

if TYPE_CHECKING:
    from mecli.training.checkpoint import Checkpoint


def recipe_of(checkpoint: Checkpoint, landmarks: str | None) -> Recipe:
    """Return how clips have to be extracted for `checkpoint`: as those it was trained on.

    `landmarks` overrides the back end they were extracted with.
    """
    try:
        recipe = Recipe.from_options(checkpoint.description["caches"][0]["options"])
    except (KeyError, IndexError, TypeError) as error:
        raise InputError(
            f"the checkpoint of model '{checkpoint.model}' does not say how its clips were "
            "extracted; train it again"
        ) from error
    return recipe if landmarks is None else replace(recipe, landmarks=resolve(landmarks))


def need_of(checkpoint: Checkpoint, recipe: Recipe) -> Need:
    """Return what the model of `checkpoint` looks at in a record."""
    model = registry.load("model", checkpoint.model)
    if not hasattr(model, "looks_at"):
        return EVERYTHING
    return Need(model.looks_at(recipe.steps, checkpoint.options), pictures=False)
