import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibcli.render.formats import markdown
from calibcli.render.tables.layout import Cell, Column, Table
from calibcli.render.words import names
from tests.render.whole import reported, typed

markdown_it = pytest.importorskip("markdown_it")

NAMES = st.text(st.sampled_from("ab0 |<>`*_[]()!#~\\&;:@$./=-\n\r\x1b日"), max_size=25)


def parsed(text):
    return markdown_it.MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)


def cells(text):
    """Return the text of each body cell as a Markdown reader sees it, and all inline kinds."""
    tokens, found, kinds, inside = parsed(text), [], set(), False
    for token in tokens:
        inside = {"td_open": True, "td_close": False}.get(token.type, inside)
        if token.type == "inline":
            shown = ""
            for child in token.children:
                kinds.add(child.type)
                if child.type == "html_inline":
                    assert child.content == "<!-- -->"
                else:
                    shown += child.content
            if inside:
                found.append(shown)
    return found, kinds


@given(NAMES)
def test_a_name_in_a_cell_is_shown_as_it_is_and_does_nothing(name):
    table = Table("t", (Column("name", left=True), Column("n")), ((Cell(name), Cell("1")),))
    found, kinds = cells(markdown.markdown_table(table))
    assert kinds <= {"text", "text_special", "html_inline"}
    assert found[0].strip() == names.visible(name).strip()
    assert found[1] == "1"


@given(NAMES)
def test_a_name_in_a_sentence_opens_no_block(name):
    tokens = parsed(names.markdown(name))
    assert {token.type for token in tokens} <= {"paragraph_open", "inline", "paragraph_close"}


def test_intervals_and_metric_names_stay_readable():
    assert names.markdown("ECE 0.1 [0.05, 0.2], mean_score") == "ECE 0.1 [0.05, 0.2], mean_score"
    assert names.markdown("[1, 2](http://x)") != "[1, 2](http://x)"


def test_nobody_is_mentioned():
    assert "@user" not in names.markdown("@user")


def test_measure_tables_have_the_same_number_of_cells_in_each_row(make_multiclass, nasty):
    text = markdown.render_measure(typed(make_multiclass(tuple(nasty), calibrated=True)))
    blocks = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert len(blocks) >= 3
    for block in blocks:
        assert len({line.count("|") for line in block}) == 1
    assert not {"html_block", "link_open"} & {token.type for token in parsed(text)}


def test_fit_threshold_and_report_render(make_fit, make_threshold, make_binary):
    assert "## Calibrator" in markdown.render_fit(typed(make_fit()))
    assert "0.4000000000000001" in markdown.render_threshold(typed(make_threshold()))
    cuts = make_threshold() | {"schema": "calibcli/thresholds"}
    report = {"title": "a|b", "measure": make_binary(), "calibrator": None,
              "thresholds": cuts, "warnings": ["<b>"], "params": {}}  # fmt: skip
    text = markdown.render_report(reported(report))
    assert text.startswith("# a&#124;b\n")
    assert "&#60;b>" in text
    assert "## Thresholds" in text
