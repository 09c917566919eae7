"""Tables of classes sort and filter, by mouse and by keyboard; names are text in them too."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def table(visit, classes_report):
    page = visit(classes_report["page"])
    return page.locator("#slices0 ~ .sorts").first


def column(table, place):
    cells = table.locator(f"tbody tr:not([hidden]) > :nth-child({place + 1})")
    return [text.split(" ")[0] for text in cells.all_inner_texts()]


def heads(table):
    return [text.split(" ")[0] for text in table.locator("thead th").all_inner_texts()]


def test_a_heading_sorts_by_its_column_and_back(table):
    place = heads(table).index("ece")
    as_made = column(table, 0)
    table.locator("thead button").nth(place).click()
    up = [float(text) for text in column(table, place)]
    assert len(up) == 45
    assert up == sorted(up)
    head = table.locator("thead th").nth(place)
    assert head.get_attribute("aria-sort") == "ascending"
    table.locator("thead button").nth(place).click()
    assert [float(text) for text in column(table, place)] == sorted(up, reverse=True)
    assert head.get_attribute("aria-sort") == "descending"
    # Names that are numbers sort as numbers.
    table.locator("thead button").first.click()
    assert column(table, 0) == [str(k) for k in range(45)]
    assert head.get_attribute("aria-sort") is None
    assert sorted(as_made) == sorted(column(table, 0))


def test_the_keyboard_sorts(table):
    button = table.locator("thead button").nth(1)
    button.focus()
    table.page.keyboard.press("Enter")
    assert table.locator("thead th").nth(1).get_attribute("aria-sort") == "ascending"
    table.page.keyboard.press("Space")
    assert table.locator("thead th").nth(1).get_attribute("aria-sort") == "descending"


def test_what_is_typed_leaves_the_rows_that_name_it(table):
    field = table.page.locator(".tools input").first
    field.focus()
    table.page.keyboard.type("4")
    wanted = {str(k) for k in range(45) if "4" in str(k)}
    assert set(column(table, 0)) == wanted
    told = table.page.locator(".tools [role=status]").first
    assert told.inner_text() == f"{len(wanted)} of 45"
    field.fill("")
    assert len(column(table, 0)) == 45
    assert told.inner_text() == ""


def test_names_that_attack_stay_text_when_they_are_sorted(visit, binary_report):
    page = visit(binary_report["page"])
    table = page.locator("#slices0 ~ .sorts").first
    before = sorted(table.locator("tbody th").all_inner_texts())
    for button in table.locator("thead button").all()[:3]:
        button.click()
    assert sorted(table.locator("tbody th").all_inner_texts()) == before
    assert page.evaluate("typeof hacked") == "undefined"
    assert page.locator("img").count() == 0
