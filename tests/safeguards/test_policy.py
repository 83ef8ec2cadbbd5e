"""The policy: what is done about what."""

from __future__ import annotations

import pytest

from recaption.config import RecipeError, SafeguardsConfig
from recaption.recipe_file import parse_recipe
from recaption.safeguards.policy import Action, action_for, prune
from recaption.safeguards.verdict import Verdict
from recaption.sample import Reason

GOOD = Verdict("a.good")


def verdict(reason: Reason) -> Verdict:
    return Verdict(f"a.{reason}", reason, "because")


@pytest.mark.parametrize(
    ("reasons", "actions", "expected"),
    [
        ([], {}, Action.ACCEPT),
        ([Reason.BOILERPLATE], {}, Action.ACCEPT),
        ([Reason.BOILERPLATE], {"boilerplate": "repair"}, Action.REPAIR),
        ([Reason.CUT_OFF], {}, Action.PRUNE),
        ([Reason.CUT_OFF, Reason.MARKUP], {}, Action.REPAIR),
        ([Reason.MARKUP, Reason.CUT_OFF], {"markup": "reject"}, Action.REJECT),
        ([Reason.PERSONAL_DATA], {"personal_data": "accept"}, Action.ACCEPT),
        ([Reason.INVENTED], {"invented": "reject"}, Action.REJECT),
    ],
)
def test_the_strongest_action_counts(
    reasons: list[Reason], actions: dict[str, str], expected: Action
) -> None:
    config = SafeguardsConfig.model_validate({"actions": actions})
    action, why = action_for([GOOD, *map(verdict, reasons)], config)
    assert action is expected
    assert (why.reason is None) is (action is Action.ACCEPT)


@pytest.mark.parametrize(
    ("text", "doubted", "is_cut_off", "expected"),
    [
        ("A cat. A dog. A cow.", {1}, False, "A cat. A cow."),
        ("A cat. A dog.", {0, 1}, False, ""),
        ("A cat. A dog sits on the", set(), True, "A cat."),
        ("A cat. A dog.", set(), True, "A cat. A dog."),
        ("A cat sits on the", set(), True, ""),
        ("A cat. A dog sits on the", {0}, True, ""),
        ('A sign reading "STOP!" A dog.', {1}, False, 'A sign reading "STOP!"'),
        ("", set(), True, ""),
        ("A cat. A dog. A cat.", set(), False, "A cat. A dog."),
    ],
)
def test_pruning_cuts_whole_sentences(
    text: str, doubted: set[int], is_cut_off: bool, expected: str
) -> None:
    assert prune(text, frozenset(doubted), is_cut_off) == expected


def test_a_reason_that_does_not_exist_is_refused() -> None:
    recipe = {
        "source": {"path": "x"},
        "engine": {"kind": "echo"},
        "corpus": {"path": "y"},
        "safeguards": {"actions": {"invnted": "reject"}},
    }
    with pytest.raises(RecipeError, match=r"no reason 'invnted', did you mean invented\?"):
        parse_recipe(recipe)
