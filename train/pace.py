"""What changes over a run, each a function of images seen, so that a resumed run goes on alike."""

from __future__ import annotations

from train.config import OptimizerConfig, TrainRecipe


def steps_in_all(recipe: TrainRecipe) -> int:
    """Return the steps of a run."""
    return max(1, recipe.images // recipe.data.batch_size)


def images_in_all(recipe: TrainRecipe) -> int:
    """Return the images a run sees, in whole batches."""
    return steps_in_all(recipe) * recipe.data.batch_size


def learning_rate(config: OptimizerConfig, images: int, total: int) -> float:
    """Return the rate of the step that ends at `images`: up, level, down to 0 at the end."""
    rise = min(1.0, images / config.warmup) if config.warmup else 1.0
    fall = min(1.0, (1 - images / total) / config.decay) if config.decay else 1.0
    return config.rate * rise * max(0.0, fall)


def ema_share(config: OptimizerConfig, images: int, batch_size: int) -> float:
    """Return the share of the old average that a step keeps, beta; `images` are those before it.

    The half-life grows with the run up to a limit: Karras et al., EDM (2022), training loop.
    """
    half_life = min(config.ema_images, images * config.ema)
    return float(0.5 ** (batch_size / half_life)) if half_life else 0.0


def is_due(every: int, images: int, batch_size: int, total: int) -> bool:
    """Whether the step that ended at `images` passed a multiple of `every`, or was the last."""
    return images // every > (images - batch_size) // every or images >= total
