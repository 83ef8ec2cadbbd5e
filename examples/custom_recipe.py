"""A recipe made in code, run on Ray, its captions filtered by how sure the captioner was.

python examples/custom_recipe.py out/example      (rendered scenes, no model)
"""

import sys

import recaption


def main(out: str) -> None:
    recipe = recaption.load_recipe(
        {
            "source": {
                "path": "shapeworld://seed=3,images=8,size=64,shards=2",
                "dataset": "scenes",
            },
            "caption": {"styles": ["short", "dense"], "per_style": 2},
            "engine": {"kind": "echo"},
            "corpus": {"path": out},
        },
        ["seed=1"],  # as on the command line
    )
    summary = recaption.caption(recipe)
    print(f"{summary.state}: {summary.captioned} captioned, {summary.captions} captions")
    for image in recaption.open_corpus(out).samples():
        best = max(image.captions, key=lambda one: one.mean_logprob or 0.0)
        if (best.mean_logprob or 0.0) > -0.2:
            print(f"{image.sample_id}  {best.mean_logprob:.2f}  {best.text}")


if __name__ == "__main__":
    main(sys.argv[1])
