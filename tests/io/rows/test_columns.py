from __future__ import annotations

import pytest

from calibcli.errors import InputError, UsageError
from calibcli.io.rows.columns import (
    Column,
    choose_label,
    choose_scores,
    suffixes,
)
from calibcli.io.rows.names import LABELS, SCORES


def table(*names):
    return {name: Column("number") for name in names}


@pytest.mark.parametrize("name", [*SCORES[0], *SCORES[1], "Score", "Predicted Probability"])
def test_each_known_score_name(name):
    chosen = choose_scores(table("id", name, "label"), "x", score=None, scores=None)
    assert (chosen.names, chosen.classes, chosen.rows) == ((name,), None, False)


@pytest.mark.parametrize("name", [*LABELS[0], *LABELS[1], "Label", "TRUE_LABEL"])
def test_each_known_label_name(name):
    assert choose_label(table("score", name, "x"), "x", None) == (name,)


def test_the_named_column_wins_over_known_names():
    assert choose_scores(table("score", "b"), "x", score="b", scores=None).names == ("b",)
    assert choose_label(table("label", "y", "b"), "x", "b") == ("b",)


def test_several_columns_by_name_and_by_pattern():
    names = table("prob_b", "prob_a", "label", "prob_10")
    chosen = choose_scores(names, "x", score=None, scores=("prob_a", "prob_b"))
    assert (chosen.names, chosen.classes) == (("prob_a", "prob_b"), ("a", "b"))
    chosen = choose_scores(names, "x", score=None, scores=("prob_*",))
    assert (chosen.names, chosen.classes) == (("prob_b", "prob_a", "prob_10"), ("b", "a", "10"))
    chosen = choose_scores(names, "x", score=None, scores=("prob_?",))
    assert (chosen.names, chosen.classes) == (("prob_b", "prob_a"), ("b", "a"))
    chosen = choose_scores(table("a_p", "b_p", "c"), "x", score=None, scores=("*_p",))
    assert chosen.classes == ("a", "b")


def test_a_column_named_like_a_pattern_is_itself():
    chosen = choose_scores(table("p[0]", "p0", "label"), "x", score="p[0]", scores=None)
    assert chosen.names == ("p[0]",)
    assert choose_scores(table("p*"), "x", score=None, scores=("p*",)).names == ("p*",)


def test_a_column_twice():
    with pytest.raises(InputError, match="more than one column a"):
        choose_scores(table("a", "b"), "x", score=None, scores=("a", "a"))


def test_both_options():
    with pytest.raises(UsageError, match="exclude each other"):
        choose_scores(table("a"), "x", score="a", scores=("a",))


def test_list_columns_have_known_names_of_their_own():
    columns = {"probs": Column("number", 3), "label": Column("number")}
    assert choose_scores(columns, "x", score=None, scores=None).rows
    assert choose_scores({**columns, **table("conf")}, "x", score=None, scores=None).rows
    assert not choose_scores(table("probs", "label"), "x", score=None, scores=None).rows


def test_a_surer_name_goes_before_the_others():
    for names, score in (
        (("confidence", "score"), "score"),
        (("Score", "conf"), "Score"),
        (("Score", "score"), "score"),
        (("SCORE", "Conf"), "SCORE"),
        (("scores", "p"), "p"),
    ):
        assert choose_scores(table(*names), "x", score=None, scores=None).names == (score,)
    with pytest.raises(InputError, match="2 columns that may be the score: proba, y_hat"):
        choose_scores(table("proba", "y_hat"), "x", score=None, scores=None)
    assert choose_label(table("class", "label"), "x", None) == ("label",)
    assert choose_label(table("class", "Label"), "x", None) == ("Label",)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["prob_cat", "prob_dog"], ("cat", "dog")),
        (["class.1", "class.2", "class.10"], ("1", "2", "10")),
        (["VF", "F", "M", "L"], ("VF", "F", "M", "L")),
        (["p_", "p_x"], ("p_", "p_x")),
        (["scat", "sdog"], ("scat", "sdog")),
        (["p_a_x", "p_a_y"], ("x", "y")),
    ],
)
def test_suffixes(names, expected):
    assert suffixes(names) == expected


def test_label_columns_of_several_labels():
    names = table("p_a", "p_b", "y_a", "y_b")
    assert choose_label(names, "x", "y_*") == ("y_a", "y_b")
    assert choose_label(names, "x", "y_b,y_a") == ("y_b", "y_a")
    assert choose_label({**names, "y_a,y_b": Column("any")}, "x", "y_a,y_b") == ("y_a,y_b",)
    with pytest.raises(InputError, match="'y_a,zz'"):
        choose_label(names, "x", "y_a,zz")
