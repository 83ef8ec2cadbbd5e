"""The scorer's figures as a table for people."""

from __future__ import annotations

from typing import Any

from rich.table import Table

_NAMES = {
    "contradiction": "captions with a false claim",
    "invention": "captions with a thing that is not there",
    "not_understood": "captions not wholly understood",
    "retention": "facts of right alt-text kept",
    "wrong_believed": "wrong things in alt-text believed",
    "right_class_used": "right class hints used",
    "wrong_class_obeyed": "wrong class hints obeyed",
    "ambiguous_class_right": "ambiguous classes right, with hint",
    "class_without_hint": "ambiguous classes right, without hint",
    "diversity": "difference of captions of an image and style",
    "distinct": "pairs of such captions that differ",
}


def tables(report: dict[str, Any]) -> list[Table]:
    """Return the tables of a report: of full images, and of regions where there are any."""
    found = [*_tables("full images", report)]
    if report.get("regions", {}).get("claims", {}).get("precision"):
        found += _tables("regions", report["regions"])
    return found


def _tables(title: str, report: dict[str, Any]) -> list[Table]:
    claims = report["claims"]
    styles = claims["by_style"]
    table = Table(title=f"Claims, {title}", title_justify="left")
    for column in ("", "precision", "recall", *(f"{s}: precision / recall" for s in styles)):
        table.add_column(column, justify="left" if not column else "right")
    rows = {"all": claims, **claims["by_kind"]}
    for name, row in rows.items():
        parts = [s if name == "all" else s["by_kind"][name] for s in styles.values()]
        table.add_row(
            name,
            show(row["precision"]),
            show(row["recall"]),
            *(f"{_short(part['precision'])} / {_short(part['recall'])}" for part in parts),
        )
    rest = Table(title=f"Hints and words, {title}", title_justify="left", show_header=False)
    for key, name in _NAMES.items():
        if report.get(key):
            rest.add_row(name, show(report[key]))
            for part, figure in report.get(f"{key}_by", {}).items():
                rest.add_row(f"  {part}", show(figure))
    return [table, rest]


def show(figure: dict[str, Any] | None) -> str:
    """Return a figure with its interval and count, a dash where there is none."""
    if figure is None:
        return "-"
    low, high = figure["interval"]
    return f"{figure['value']:.3f} [{low:.3f}, {high:.3f}] n={figure['n']:,}"


def _short(figure: dict[str, Any] | None) -> str:
    return "-" if figure is None else f"{figure['value']:.3f}"


def headline(report: dict[str, Any]) -> Table:
    """Return the figures that matter most, for a newcomer."""
    table = Table(show_header=False)
    claims, kinds = report["claims"], report["claims"]["by_kind"]
    table.add_row("claims that are true", show(claims["precision"]))
    table.add_row("of what a caption should tell, told", show(claims["recall"]))
    for kind in ("shape", "colour", "count", "relation", "medium"):
        if kind in kinds:
            table.add_row(f"  {kind}: true, told", _pair(kinds[kind]))
    for key in ("retention", "wrong_believed", "right_class_used", "wrong_class_obeyed"):
        table.add_row(_NAMES[key], show(report.get(key)))
    return table


def _pair(figures: dict[str, Any]) -> str:
    return f"{_short(figures['precision'])}, {_short(figures['recall'])}"
