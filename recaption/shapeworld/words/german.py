"""German words and phrases for what is in a scene: the short style."""

from __future__ import annotations

from recaption.shapeworld.content import Ground, Shape, hue_in
from recaption.shapeworld.drawing import geometry
from recaption.shapeworld.drawing.geometry import word_share
from recaption.shapeworld.known import Known
from recaption.shapeworld.words.english import SLIVER, Told

SHAPE_WORDS: dict[Shape, tuple[str, str, str]] = {
    # shape: word, gender, plural
    Shape.CIRCLE: ("Kreis", "m", "Kreise"),
    Shape.SQUARE: ("Quadrat", "n", "Quadrate"),
    Shape.TRIANGLE: ("Dreieck", "n", "Dreiecke"),
    Shape.STAR: ("Stern", "m", "Sterne"),
    Shape.CROSS: ("Kreuz", "n", "Kreuze"),
    Shape.RING: ("Ring", "m", "Ringe"),
    Shape.DIAMOND: ("Raute", "f", "Rauten"),
    Shape.HEXAGON: ("Sechseck", "n", "Sechsecke"),
    Shape.HEART: ("Herz", "n", "Herzen"),
    Shape.ARROW: ("Pfeil", "m", "Pfeile"),
    Shape.CRESCENT: ("Mond", "m", "Monde"),
}
HUE_WORDS = {
    "red": "rot",
    "orange": "orangefarben",
    "yellow": "gelb",
    "green": "grün",
    "turquoise": "türkis",
    "blue": "blau",
    "purple": "violett",
    "pink": "rosafarben",
    "brown": "braun",
    "black": "schwarz",
    "grey": "grau",
    "white": "weiß",
    "cream": "cremefarben",
    "light blue": "hellblau",
    "light green": "hellgrün",
    "dark blue": "dunkelblau",
    "dark green": "dunkelgrün",
    "dark": "dunkl",
    "light": "hell",
}
"""Stems: an ending follows."""

NUMBERS = ("kein", "ein", "zwei", "drei", "vier", "fünf")
_ENDINGS = {"m": "er", "n": "es", "f": "e"}


def caption(told: Told, known: Known) -> str:
    """Return a true caption in one sentence, and the known facts in a second one."""
    shown = _group(told) or [f"ein Teil von etwas {_hue(told, k)}em" for k in told.fragments]
    word = told.scene.word
    if word is not None and word_share(word, told.scene.aspect) >= geometry.WHOLE:
        shown = [*shown, f'das Wort "{word.text}"']
    ground = _background(told)
    text = f"{_join(shown)} auf {ground}" if shown else f"nichts als {ground.replace('em ', 'er ')}"
    text = f"{text[0].upper()}{text[1:]}."
    return f"{text} {known_sentence(known)}" if known else text


def _join(phrases: list[str]) -> str:
    if len(phrases) < 2:
        return "".join(phrases)
    return f"{', '.join(phrases[:-1])} und {phrases[-1]}"


def _hue(told: Told, index: int) -> str:
    return HUE_WORDS[told.hue(index)]


def _group(told: Told) -> list[str]:
    counts: dict[tuple[str, Shape], int] = {}
    for k in told.named:
        counts[told.look(k)] = counts.get(told.look(k), 0) + 1
    phrases = []
    for (hue, shape), count in counts.items():
        word, gender, plural = SHAPE_WORDS[shape]
        stem = HUE_WORDS[hue]
        if count == 1:
            phrases.append(f"{'eine' if gender == 'f' else 'ein'} {stem}{_ENDINGS[gender]} {word}")
        else:
            phrases.append(f"{NUMBERS[count]} {stem}e {plural}")
    return phrases


def _background(told: Told) -> str:
    """Return the background in the dative."""
    ground, medium = told.scene.background, told.scene.medium
    first, second = (HUE_WORDS[hue_in(c, medium)] for c in (ground.first, ground.second))
    is_cut = ground.kind in (Ground.HORIZON, Ground.SPLIT)
    if ground.kind is Ground.PLAIN:
        return f"{first}em Grund"
    if is_cut and not SLIVER < ground.start < 1 - SLIVER:
        return f"überwiegend {first if ground.start > 0.5 else second}em Grund"
    return f"{first}em und {second}em Grund"


def known_sentence(known: Known) -> str:
    """Return the facts as a sentence; the word of a class stays as the data set writes it."""
    parts = [f'"{known.class_word}"'] if known.class_word else []
    parts += [f"genannt {known.name}"] if known.name else []
    parts += [f"von {known.maker}"] if known.maker else []
    parts += [f"aus {known.place}"] if known.place else []
    parts += [f"datiert {known.date}"] if known.date else []
    return f"Bekannt: {', '.join(parts)}."
