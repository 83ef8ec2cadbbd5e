"""What a process noted: counted by kind, the first example kept, taken once."""

from recaption.notices import Notice, Notices, describe_notices, note, take_notices


def test_notices_add_up_by_kind_and_are_taken_once() -> None:
    take_notices()
    note("rows left out", "a.csv row 3")
    note("rows left out", "a.csv row 9", count=4)
    note("tables unmatched")
    assert take_notices() == (
        Notice("rows left out", 5, "a.csv row 3"),
        Notice("tables unmatched", 1, ""),
    )
    assert take_notices() == ()


def test_an_example_is_one_short_line() -> None:
    take_notices()
    note("odd", "\x1b[2Ja\nb" + "x" * 1000)
    (notice,) = take_notices()
    assert notice.example.startswith("a bxxx") and len(notice.example) == 300


def test_kinds_without_end_take_no_memory() -> None:
    notices = Notices()
    notices.add(Notice(f"kind {i}", 1) for i in range(1000))
    assert len(notices.all()) == 64


def test_notices_read_as_lines() -> None:
    lines = describe_notices([Notice("rows left out", 1200, "a.csv row 3"), Notice("odd", 1)])
    assert lines == ["1,200 x rows left out, first: a.csv row 3", "1 x odd"]
