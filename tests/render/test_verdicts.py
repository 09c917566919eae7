from calibcli.render.words import verdicts
from calibcli.tasks.words import ONE_SCORE
from tests.render.whole import conventions, part, typed


def test_logits_twice_too_large_are_called_too_extreme(make_binary):
    answer = verdicts.verdict(typed(make_binary(5000, sharp=2.0)))
    assert answer.tone == "bad"
    assert answer.headline.startswith("Scores too extreme:")
    assert "under-confident from 0 to" in answer.headline
    assert "to 1 (mean score" in answer.headline


def test_logits_halved_are_called_too_timid(make_binary):
    answer = verdicts.verdict(typed(make_binary(5000, sharp=0.5)))
    assert answer.headline.startswith("Scores too timid:")


def test_an_honest_model_with_many_rows_is_called_honest(make_binary):
    answer = verdicts.verdict(typed(make_binary(60000, sharp=1.0)))
    assert answer.tone == "good"
    assert answer.headline.startswith("Honest within 0.05")


def test_an_honest_model_with_few_rows_is_not_called_honest(make_binary):
    answer = verdicts.verdict(typed(make_binary(150, sharp=1.0, seed=5)))
    assert answer.tone == "warn"
    assert "150 rows" in answer.headline


def test_when_no_run_stands_out_the_test_of_the_whole_is_heard(make_binary):
    result = make_binary(150, sharp=1.0, seed=5)
    result["overall"]["metrics"]["spiegelhalter_z"]["value"] = 4.0
    result["overall"]["metrics"]["spiegelhalter_p"]["value"] = 6.3e-05
    answer = verdicts.verdict(typed(result))
    assert answer.tone == "warn"
    assert answer.headline.endswith("too extreme (Spiegelhalter p 0.0001).")
    result["params"]["cluster"] = "patient"
    assert "Spiegelhalter" not in verdicts.verdict(typed(result)).headline


def test_without_intervals_no_fault_is_claimed_beyond_chance(make_binary):
    result = make_binary(5000, sharp=2.0)
    for row in result["overall"]["bins"]:
        row["frequency_low"] = row["frequency_high"] = None
    answer = verdicts.verdict(typed(result))
    assert answer.tone == "warn"
    assert any("chance" in detail for detail in answer.details)


def test_the_tone_after_calibration_is_told_apart(make_binary):
    answer = verdicts.verdict(typed(make_binary(60000, sharp=2.0, calibrated=True)))
    assert (answer.tone, answer.ends) == ("bad", "good")
    assert any(detail.startswith("After calibration, ECE 0.00") for detail in answer.details)


def test_groups_beyond_the_tolerance_are_counted_and_the_worst_named(make_binary):
    result = make_binary(9000, sharp=2.0, groups=("front", "rear", "left"))
    good = make_binary(60000, sharp=1.0)["overall"]
    result["groups"][1] = {**good, "slice": result["groups"][1]["slice"]}
    sentence = verdicts.verdict(typed(result)).details[-1]
    worst = max(result["groups"], key=lambda g: g["metrics"]["ece"]["value"])["slice"]["value"]
    assert "2 of 3 values of camera" in sentence
    assert f"the worst is {worst} at" in sentence


def test_no_rows_say_nothing():
    bins = [{"low": 0, "high": 1, "count": 0, "score": None, "frequency": None, "gap": None}]
    answer = verdicts.slice_verdict(part({"bins": bins}), conventions({}), ONE_SCORE)
    assert answer.headline == "No rows: nothing can be said."
