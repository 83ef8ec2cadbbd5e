"""How sure the captioner was of its own caption: a free sign of what it made up.

Texts whose tokens were unlikely are more often made up (Guerreiro et al. 2023, arXiv:2208.05309, of
translation: the best of the detectors that need nothing but the model).
"""

from __future__ import annotations

from recaption.safeguards.verdict import Verdict
from recaption.sample import Caption, Reason


def sureness(caption: Caption, least: float) -> Verdict:
    """Find fault with a caption whose mean log-probability is below `least`; that is the score.

    Where the engine tells none, there is nothing to find.
    """
    score = caption.mean_logprob
    if score is None or score >= least:
        return Verdict("confidence.sureness", score=score)
    message = f"mean log-probability {score:.3f}, at least {least:g} is wanted"
    return Verdict("confidence.sureness", Reason.UNSURE, message, score)
