"""The styles that a recipe names, held against those that there are captions in."""

from __future__ import annotations

from collections.abc import Sequence

from recaption.config import nearest
from recaption.text import printable
from train.config import TrainRecipe
from train.rotation import RotationConfig
from train.schedule import places_of, value_at


def wrong_styles(recipe: TrainRecipe, there: Sequence[str], holder: str) -> list[str]:
    """Return a line for each style that `holder` has no captions in, and for weights of none."""
    named = {
        "data.styles": recipe.data.styles,
        "recaption.styles": recipe.recaption.styles,
        "rotation.style_weights": list(recipe.rotation.style_weights),
    }
    known = ", ".join(map(printable, there)) or "none"
    wrong = [
        f"{key}: {holder} has no captions in the style {style!r}{nearest(style, there)}"
        f" (styles: {known})"
        for key, styles in named.items()
        for style in styles
        if style not in there
    ]
    trained = [style for style in there if style in recipe.data.styles or not recipe.data.styles]
    return wrong or _without_weight(recipe.rotation, trained)


def _without_weight(rotation: RotationConfig, styles: Sequence[str]) -> list[str]:
    """Return a line where at some time no style that is trained on has a weight."""
    if rotation.policy != "weighted":
        return []
    weights = [weight for style, weight in rotation.style_weights.items() if style in styles]
    for place in places_of(*weights):
        if not any(value_at(weight, place) for weight in weights):
            return [
                f"rotation.style_weights: no style that is trained on ({', '.join(styles)}) has a"
                f" weight at progress {place:g}; it names {', '.join(rotation.style_weights)}"
            ]
    return []
