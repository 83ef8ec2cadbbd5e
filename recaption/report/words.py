"""The words of the page, and what to do about each reason of a reject."""

from __future__ import annotations

from typing import Final

from recaption.sample import Reason

WORDS: Final[dict[str, tuple[str, str]]] = {
    "sample": ("sample", "One image with all that lies beside it in its shard."),
    "shard": ("shard", "One input file or folder: a tar, a Parquet file, a folder of images."),
    "part": (
        "part",
        "Some hundred samples of a shard, in their order: what is captioned, checked and committed"
        " at once. A part is wholly in the corpus or not at all.",
    ),
    "fingerprint": (
        "version, fingerprint",
        "A hash of everything in the recipe that decides what the captions say. Another model,"
        " prompt or seed has another fingerprint, and makes another version of the corpus.",
    ),
    "style": ("style", "How a caption is to be: short, dense and so on; each has its own prompt."),
    "slot": ("slot", "The number of a caption among those of one image and style, from 0."),
    "region": ("region", "What a caption describes: the full image, or a crop of it."),
    "hint": (
        "hint",
        "What was known of the image beforehand, such as alt-text or a class name. The prompt"
        " shows it to the model as data that may be wrong.",
    ),
    "logprob": (
        "mean log-probability",
        "How sure the model was of its words: the natural logarithm of the chance it gave to each"
        " token, on average. 0 is certain; −0.7 is a coin's toss at every token.",
    ),
    "verdict": (
        "verdict",
        "What a safeguard said of a caption. policy: what was done about it: accepted, pruned"
        " (sentences taken out), repaired (asked again), fused (facts put in), fallback (a text"
        " of the recipe's choice).",
    ),
    "likeness": ("likeness", "The cosine of caption and image as CLIP sees them; more is nearer."),
    "least_yes": (
        "least sure claim",
        "Each claim of the caption was put to the model as a question. The lowest chance that it"
        " gave to yes.",
    ),
    "ending": (
        "ending",
        "stop: the model ended by itself. length: it was cut off at sampling.max_tokens. pruned,"
        " fallback: the safeguards changed the text.",
    ),
    "distinct": ("distinct", "The share of captions whose text no other caption repeats."),
    "precision": (
        "claims true (precision)",
        "Of the claims of a caption that its image can settle, the share that is true. Known of"
        " rendered images alone, whose content is known exactly.",
    ),
    "recall": (
        "told (recall)",
        "Of what a caption of its style should tell of the image, the share that it tells.",
    ),
    "interval": (
        "95% interval",
        "Where the figure would lie on other images of the same kind, 19 times in 20.",
    ),
    "reject": (
        "reject",
        "A sample without any caption, or one caption that was not good enough; it is kept with"
        " stage and reason. Ask again with: recaption retry RECIPE --reason REASON",
    ),
    "steady": ("steady", "Images per second, without the start of the engines and the end."),
    "lost": ("engines lost", "Engines that died during the run and were replaced."),
}
"""By key: the word as the list of words has it, and what it means."""

_RETRY = "Ask again with recaption retry"
_LENGTH = "prompts and sampling.max_tokens decide the length"
ADVICE: Final[dict[Reason, str]] = {
    Reason.FAILED: f"An error that nobody foresaw; its message says which. {_RETRY}.",
    Reason.TIMEOUT: f"It took longer than a sample may. {_RETRY}, with a larger engine.timeout_s.",
    Reason.NO_IMAGE: "Text without an image beside it. Look at the shard.",
    Reason.DUPLICATE_KEY: "Two samples of a shard with one name: the first was taken.",
    Reason.UNREADABLE: "The file could not be opened. Look at its rights, or fetch it anew.",
    Reason.EMPTY_FILE: "A file of no bytes. Fetch it anew.",
    Reason.NOT_AN_IMAGE: "Its bytes are of no known image format: often an error page.",
    Reason.TRUNCATED: "The file ends too early. Fetch it anew.",
    Reason.CORRUPT: "The image cannot be decoded. Fetch it anew.",
    Reason.TOO_MANY_PIXELS: "More pixels than image.max_pixels allows.",
    Reason.TOO_SMALL: "Smaller than image.min_side allows.",
    Reason.PROMPT_FAILED: "The prompt could not be made of its hints; the message says why.",
    Reason.REQUEST_FAILED: f"The engine refused or failed. {_RETRY}.",
    Reason.REQUEST_TOO_LONG: "Prompt and image do not fit the context: raise max_model_len, or"
    " reduce image.short_side.",
    Reason.KILLED_ENGINE: f"The engine died at this image, twice. {_RETRY}, with another version.",
    Reason.EMPTY_CAPTION: f"The model said nothing. {_RETRY}.",
    Reason.CUT_OFF: "Ended by the limit of tokens: raise sampling.max_tokens.",
    Reason.REPETITION: "It says the same again and again: lower the temperature, or try a larger"
    " model.",
    Reason.REFUSAL: "The model speaks of itself, or refuses: try another prompt or model.",
    Reason.BOILERPLATE: "Phrases that say nothing of the image.",
    Reason.MARKUP: "Lists, headings or code where plain text was asked for.",
    Reason.PROMPT_LEAK: "It repeats the prompt.",
    Reason.WRONG_LANGUAGE: "Not in caption.language.",
    Reason.TOO_SHORT: f"Fewer words than the style asks for; {_LENGTH}.",
    Reason.TOO_LONG: f"More words than the style asks for; {_LENGTH}.",
    Reason.COPIED_ALT_TEXT: "It repeats the alt-text instead of describing the image.",
    Reason.META_TEXT: "It speaks of the hints instead of the image.",
    Reason.CLASS_CONTRADICTED: "It denies the class name, which the adapter trusts.",
    Reason.ABSENT_MENTIONED: "It names what people found not to be in the image.",
    Reason.INVENTED: "It claims what the model, asked, denies: safeguards.min_yes.",
    Reason.UNSURE: "Its mean log-probability is below safeguards.least_logprob.",
    Reason.UNLIKE_IMAGE: "CLIP finds it unlike the image: safeguards.clip.least.",
    Reason.PERSONAL_DATA: "It holds an address, a number or the like of a person.",
    Reason.FACTS_LOST: "Facts of the alt-text that it should keep are gone.",
}
"""What each reason means, and what to do about it."""
