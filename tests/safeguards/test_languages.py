"""Which language a caption is in: a table of languages against each other, and of near misses."""

from __future__ import annotations

import pytest

from recaption.safeguards import form
from recaption.safeguards.languages import known_language, word_count, words
from recaption.safeguards.verdict import Asked, Verdict
from recaption.sample import Caption, Reason


def judge(text: str, asked: str) -> Verdict:
    return form.language(Caption(text, 1, "stop", 10, 20, None), Asked("dense", asked))


GERMAN = "Ein roter Hund liegt auf dem Sofa neben einer Katze."
ENGLISH = "A red dog is lying on the sofa beside a cat."
LANGUAGE_TEXTS = {
    "German": GERMAN,
    "English": ENGLISH,
    "French": "Un chien rouge est couché sur le canapé avec un chat.",
    "Spanish": "Un perro rojo está en el sofá con un gato.",
    "Italian": "Un cane rosso è sul divano con il gatto della nonna.",
    "Portuguese": "Um cão vermelho está no sofá com uma almofada em frente da janela.",
    "Dutch": "Een rode hond ligt op de bank naast een kat.",
    "Swedish": "En röd hund ligger på soffan bredvid en katt och ett bord.",
    "Polish": "Czerwony pies i kot są na kanapie obok stołu.",
    "Turkish": "Kırmızı bir köpek ve bir kedi kanepenin üzerinde.",
    "Indonesian": "Seekor anjing merah dengan kucing di atas sofa.",
    "Russian": "Красная собака лежит на диване рядом с кошкой.",
    "Greek": "Ένας κόκκινος σκύλος στον καναπέ.",
    "Arabic": "كلب أحمر على الأريكة بجانب قطة.",
    "Hindi": "सोफे पर एक लाल कुत्ता और एक बिल्ली है।",
    "Korean": "빨간 개가 소파 위에 누워 있다.",
    "Chinese": "一只红色的狗躺在沙发上，旁边是一只猫。",
    "Japanese": "赤い犬が猫のそばでソファに横たわっている。",
    "Thai": "สุนัขสีแดงนอนอยู่บนโซฟาข้างแมว",
    "Vietnamese": "Một con chó đỏ và mèo đang nằm trên ghế với những cái gối.",
}


@pytest.mark.parametrize("asked", LANGUAGE_TEXTS)
def test_a_language_is_told_from_every_other(asked: str) -> None:
    fits = [
        written
        for written, text in LANGUAGE_TEXTS.items()
        if judge(text, asked).reason is not Reason.WRONG_LANGUAGE
    ]
    assert fits == [asked]


@pytest.mark.parametrize(
    ("text", "asked", "is_wrong"),
    [
        ("一只猫", "English", True),
        ("A red cat on a sofa, 背景是一个明亮的房间，有一扇大窗户。", "English", True),
        (f"{ENGLISH} {GERMAN}", "English", True),
        ("Ein Hund und eine Katze.", "English", True),
        (ENGLISH, "german", True),
        (ENGLISH, "Brazilian Portuguese", True),
        ("Cat", "German", False),
        ("Medium: photo. Style: plain.", "German", False),
        ("Schnauzer, Wurst", "English", False),
        ("Café de la Paix", "English", False),
        ("A painting by Илья Ефимович Репин.", "English", False),
        ("The Great Wave 神奈川沖浪裏.", "English", False),
        ('A sign reading "ein Hund und eine Katze auf dem Sofa".', "English", False),
        ('A sign reading "本日は休業させていただきますのでよろしく".', "English", False),
        ("一只猫坐在iPhone旁边。", "Chinese", False),
        (ENGLISH, "Klingon", False),
        (ENGLISH, "Haitian Creole", False),
        (ENGLISH, "", False),
        ("赤坂東京新宿渋谷品川上野池袋", "Japanese", True),
        ("", "English", False),
        ("123 !?", "English", False),
    ],
)
def test_language(text: str, asked: str, is_wrong: bool) -> None:
    verdict = judge(text, asked)
    assert verdict.reason == (Reason.WRONG_LANGUAGE if is_wrong else None), verdict.message


def test_a_languages_name_may_be_qualified() -> None:
    assert known_language("Simplified Chinese") == known_language("Chinese (Simplified)")
    assert known_language("British English") == "english"
    assert known_language("Swiss German dialect") is None


def test_words_keep_apostrophes_and_marks() -> None:
    assert words("The dog’s Café, naïve; 猫犬 हिन्दी") == (
        *("the", "dog's", "café", "naïve", "猫", "犬", "हिन्दी"),
    )


def test_two_letters_without_spaces_count_as_a_word() -> None:
    assert word_count(words("a red 猫犬")) == 3
