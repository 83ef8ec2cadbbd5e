"""A stranger's text on one line: nothing of it drives a terminal or hides what follows."""

import pytest

from recaption.text import lines_of, printable, without_controls

SHOWN = {
    "plain": ("a red square", "a red square"),
    "colour": ("\x1b[31mred\x1b[0m", "red"),
    "clears the screen": ("a\x1b[2J\x1b[Hb", "ab"),
    "sets the title, BEL": ("\x1b]0;complete\x07x", "x"),
    "sets the title, ST": ("\x1b]0;complete\x1b\\x", "x"),
    "8-bit CSI": ("\x9b31mred", "red"),
    "8-bit OSC": ("\x9d0;title\x9cx", "x"),
    "escape at the end": ("x\x1b", "x"),
    "unfinished CSI": ("x\x1b[31", "x"),
    "carriage return": ("FAILED\rcomplete", "FAILED complete"),
    "line ends": ("a\r\nb\nc\u2028d\x85e", "a b c d e"),
    "backspace": ("no\x08\x08yes", "noyes"),
    "NUL, BEL": ("a\0b\x07c", "abc"),
    "right to left override": ("photo\u202egpj.exe", "photogpj.exe"),
    "isolates": ("\u2066a\u2069", "a"),
    "tag characters": ("a\U000e0041\U000e0042b", "ab"),
    "lone surrogate": ("a\ud800b", "a?b"),
    "joiners stay": ("\U0001f468\u200d\U0001f469", "\U0001f468\u200d\U0001f469"),
    "letters stay": ("Ünïcödé 猫 קטן", "Ünïcödé 猫 קטן"),
}


@pytest.mark.parametrize("name", SHOWN)
def test_a_line_is_fit_to_be_shown(name: str) -> None:
    text, expected = SHOWN[name]
    assert printable(text) == expected


def test_line_ends_stay_where_lines_are_meant() -> None:
    assert without_controls("a\tb\r\nc\x1b[1md\x0be") == "a\tb\ncd\ne"


def test_a_megabyte_of_escapes_takes_no_time() -> None:
    for text in ("\x1b" * 2**20, "\x1b[" * 2**19, "\x1b]" * 2**19, "\x1b[" + ";" * 2**20):
        assert len(printable(text)) <= len(text)


def test_lines_end_where_files_end_them() -> None:
    text = "a\nb\r\nc\rd\u2028e\x85f\x0bg\n\nh"
    assert list(lines_of(text)) == ["a", "b", "c", "d\u2028e\x85f\x0bg", "", "h"]
    assert list(lines_of("")) == [] and list(lines_of("\n")) == [""]
