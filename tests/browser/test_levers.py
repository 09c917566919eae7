"""The levers give the numbers that the command line prints, moved by keyboard and by mouse."""

from __future__ import annotations

import numpy as np
import pytest

from calibcli.core.results.figures import Figure
from calibcli.core.results.reading import typed_as
from calibcli.render.words import figures

pytestmark = pytest.mark.slow

FIGURES = ("precision", "recall", "f1", "specificity", "fpr")


@pytest.fixture
def cutoff(visit, binary_report):
    page = visit(binary_report["page"])
    page.locator("#cut-slider").scroll_into_view_if_needed()
    return page


@pytest.fixture
def measured(calibcli, binary_report):
    """The confusion table of all rows, after calibration, as the command line has it."""

    def run(threshold):
        ran = calibcli(
            "measure", binary_report["scores"], "--calibrator", binary_report["calibrator"],
            "--threshold", repr(threshold), "--format", "json", "-q",
        )  # fmt: skip
        assert ran.code == 0, ran.err
        return ran.json["overall"]["calibrated"]["confusion"][0]

    return run


def shown(page, prefix="cut"):
    return {
        name: page.locator(f"#{prefix}-{name}").text_content()
        for name in ("tp", "fp", "fn", "tn", *FIGURES, "alerts", "cost")
    }


def check(page, table):
    seen = shown(page)
    for name in ("tp", "fp", "fn", "tn"):
        assert seen[name] == str(table[name])
    for name in FIGURES:
        assert seen[name] == figures.metric(table[name]["value"])
    rows = sum(table[name] for name in ("tp", "fp", "fn", "tn"))
    assert seen["alerts"].startswith(f"{table['tp'] + table['fp']} of {rows} ")


def at(page):
    return float(page.locator("#cut-at").input_value())


def test_it_starts_at_the_chosen_cutoff(cutoff, measured, binary_report):
    import json

    chosen = json.loads(binary_report["thresholds"].read_text())["thresholds"][0]["threshold"]
    assert at(cutoff) == chosen
    check(cutoff, measured(chosen))


def test_the_keyboard_moves_it(cutoff, measured):
    cutoff.locator("#cut-slider").focus()
    before = at(cutoff)
    cutoff.keyboard.press("ArrowRight")
    assert at(cutoff) > before
    check(cutoff, measured(at(cutoff)))
    for _ in range(7):
        cutoff.keyboard.press("PageDown")
    check(cutoff, measured(at(cutoff)))
    cutoff.keyboard.press("Home")
    assert shown(cutoff)["tn"] == "0"
    check(cutoff, measured(at(cutoff)))
    cutoff.keyboard.press("End")
    assert shown(cutoff)["precision"] == "-"
    check(cutoff, measured(at(cutoff)))
    assert cutoff.locator("#cut-slider").get_attribute("aria-valuetext") == f"{at(cutoff):.6g}"


@pytest.mark.parametrize("share", [0.13, 0.62, 0.9])
def test_the_mouse_moves_it(cutoff, measured, share):
    box = cutoff.locator("#cut-slider").bounding_box()
    cutoff.mouse.click(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
    steps = float(cutoff.locator("#cut-slider").get_attribute("max"))
    assert float(cutoff.locator("#cut-slider").input_value()) / steps == pytest.approx(
        share, abs=0.05
    )
    check(cutoff, measured(at(cutoff)))


@pytest.mark.parametrize("typed", ["0.5", "0.31234", "0", "0.999"])
def test_any_cutoff_can_be_typed(cutoff, measured, typed):
    cutoff.locator("#cut-at").fill(typed)
    check(cutoff, measured(float(typed)))
    assert f"Used: >= {float(typed):g}." in cutoff.locator("#cut-used").text_content()


def test_costs_can_be_edited_and_the_cheapest_cutoff_found(cutoff, measured, good, binary_report):
    cutoff.locator("#cost-fn").fill("7")
    cutoff.locator("#cost-tp").fill("0.5")
    table = measured(at(cutoff))
    cost = (table["fp"] + 7 * table["fn"] + 0.5 * table["tp"]) / 1500
    assert shown(cutoff)["cost"] == figures.metric(cost)
    cutoff.locator("#cut-cheapest").click()
    ran = good(
        "threshold", binary_report["scores"], "--calibrator", binary_report["calibrator"],
        "--cost", "fp=1,fn=7,tp=0.5", "--format", "json", "-q",
    )  # fmt: skip
    best = measured(ran.json["thresholds"][0]["threshold"])
    least = (best["fp"] + 7 * best["fn"] + 0.5 * best["tp"]) / 1500
    assert shown(cutoff)["cost"] == figures.metric(least)
    check(cutoff, measured(at(cutoff)))
    cutoff.locator("#cost-fn").fill("")
    assert shown(cutoff)["cost"] == "-"


def test_rows_can_be_chosen_and_are_named_as_they_are(cutoff, calibcli, binary_report):
    ran = calibcli(
        "measure", binary_report["scores"], "--calibrator", binary_report["calibrator"],
        "--threshold", "0.4", "--group", "<i>g", "--format", "json", "-q",
    )  # fmt: skip
    tables = {part["slice"]["value"]: part for part in ran.json["groups"]}
    cutoff.locator("#cut-at").fill("0.4")
    options = cutoff.locator("#cut-rows option").all_text_contents()
    assert options[:2] == ["all rows", "all rows, before calibration"]
    assert len(options) == 2 + len(tables)
    for value, part in tables.items():
        name = value.replace("\n", "\\n").replace("\u202e", "\\u202e").replace("\x07", "\\x07")
        cutoff.locator("#cut-rows").select_option(label=f"<i>g = {name}")
        check(cutoff, part["calibrated"]["confusion"][0])


def test_a_screen_reader_hears_where_it_came_to_rest(cutoff):
    cutoff.locator("#cut-at").fill("0.5")
    said = cutoff.locator("#cut-said")
    said.filter(has_text="Cut-off 0.5: precision").wait_for(state="attached")
    assert said.get_attribute("role") == "status"
    assert f"recall {shown(cutoff)['recall']}" in said.text_content()


def test_numbers_are_written_as_the_tables_write_them(cutoff):
    """The page's script has its own writing of numbers; halves are what it could get wrong."""
    page = cutoff
    page.evaluate("document.querySelectorAll('.costs input').forEach((i) => { i.value = '0'; })")
    rows = 1500
    for value in (1 / 32, 3 / 32, 0.00003, 0.99996, 12345678.0, 2.5e-7, 0.12345, 1 / 3, 1.0, 0.0):
        page.locator("#cut-at").fill(
            "0"
        )  # every row is positive: the cost of a row is that of fp and tp
        for name in ("fp", "tp"):
            page.locator(f"#cost-{name}").fill(repr(value))
        cost = page.locator("#cut-cost").text_content()
        table = shown(page)
        exact = (float(table["tp"]) * value + float(table["fp"]) * value) / rows
        assert cost in {figures.metric(exact), figures.metric(value)}


def test_a_long_list_snaps_to_cutoffs_whose_counts_are_exact(visit, good, tmp_path, session_run):
    rng = np.random.default_rng(30)
    score = rng.random(6000) ** 2
    label = rng.random(6000) < score
    np.save(tmp_path / "s.npy", score)
    np.save(tmp_path / "y.npy", label.astype(int))
    arguments = (tmp_path / "s.npy", "--labels", tmp_path / "y.npy")
    session_run("report", *arguments, "-o", tmp_path / "r.html")
    page = visit(tmp_path / "r.html")
    for typed, used in (("0.37", "0.37"), ("0.370001", None)):
        page.locator("#cut-at").fill(typed)
        told = page.locator("#cut-used").text_content()
        assert "Counts are exact at 2000 listed cut-offs" in told
        threshold = told.removeprefix("Used: >= ").split(". ")[0]
        assert used in {None, threshold}
        assert abs(float(threshold) - float(typed)) < 0.001
        ran = good("measure", *arguments, "--threshold", threshold, "--format", "json")
        check(page, ran.json["overall"]["confusion"][0])


def readings(page):
    rows = {}
    for line in page.locator("#read-rows tr").all():
        cells = line.locator("th, td").all_text_contents()
        rows[cells[0]] = cells[1:]
    return rows


@pytest.mark.parametrize("stage", ["after", "before"])
def test_a_confidence_is_read_as_measure_reads_it(visit, calibcli, binary_report, stage):
    page = visit(binary_report["page"])
    if stage == "before":
        page.get_by_label("before", exact=True).check()
    slider = page.locator("#read-slider")
    slider.focus()
    levels = []
    for key in ("PageDown", "ArrowLeft", "ArrowRight", "ArrowRight", "Home", "End"):
        page.keyboard.press(key)
        levels.append(float(slider.input_value()))
        ran = calibcli(
            "measure", binary_report["scores"], "--calibrator", binary_report["calibrator"],
            "--at", repr(levels[-1]), "--group", "<i>g", "--format", "json", "-q",
        ).json  # fmt: skip
        everything = [ran["overall"], *ran["groups"]]
        seen = readings(page)
        assert len(seen) == len(everything)
        for part in everything:
            value = part["slice"].get("value")
            name = "all rows" if value is None else f"<i>g = {value}"
            name = name.replace("\n", "\\n").replace("\u202e", "\\u202e").replace("\x07", "\\x07")
            source = part["calibrated"] if stage == "after" else part
            read = source["at"][0]
            rows, score, right, gap, ece, verdict = seen[name]
            assert rows == str(read["count"])
            assert score == figures.metric(read["score"])
            assert right == figures.metric(read["correctness"])
            assert gap == figures.signed(read["gap"])
            assert ece == figures.with_interval(typed_as(source["metrics"]["ece"], Figure))
            assert verdict.startswith(read["verdict"])
    assert len(set(levels)) == 6 - 1  # one step left and one right again


def test_the_worst_class_is_marked(visit, good, classes_report):
    page = visit(classes_report["page"])
    page.locator("#read-at").fill("0.9")
    ran = good(
        "measure", classes_report["logits"], "--labels", classes_report["labels"], "--logits",
        "--binning", "mass", "--at", "0.9", "--format", "json",
    ).json  # fmt: skip
    beyond = {}
    for part in ran["classes"]:
        read = part["at"][0]
        held = [b for b in part["bins"] if [b["low"], b["high"]] == read["bin"]]
        sure = held and not held[0]["frequency_low"] <= read["score"] <= held[0]["frequency_high"]
        if sure and read["verdict"] != "within tolerance":
            beyond[f"class {part['slice']['name']}"] = read
    worst = max(beyond, key=lambda name: abs(beyond[name]["gap"]))
    verdict = beyond[worst]["verdict"]
    marked = page.locator("#read-rows tr.worst")
    assert marked.locator("th").text_content() == worst
    assert marked.locator("td").last.text_content().endswith(": the worst")
    assert f"the worst is {worst}: {verdict}" in page.locator("#read-worst").text_content()
    assert page.locator("#read-rows tr.off:not(:first-child)").count() == len(beyond)


def test_more_than_forty_slices_show_on_demand(visit, classes_report):
    page = visit(classes_report["page"])
    lines = page.locator("#read-rows tr")
    assert lines.count() == 46
    assert sum(line.is_visible() for line in lines.all()) == 40
    page.get_by_role("button", name="All 46 rows").press("Enter")
    assert all(line.is_visible() for line in lines.all())
