"""The page in a browser: nothing runs that is not ours, it fits a phone, everyone can read it."""

from __future__ import annotations

import re

import pytest

pytestmark = pytest.mark.slow

PHONE = {"width": 390, "height": 844}


def test_names_are_text_and_run_nothing(visit, binary_report):
    page = visit(binary_report["page"])
    text = page.locator("body").inner_text()
    assert "</script><img src=x onerror=hacked()>" in text
    assert "two\\nlines\\u202eabc\\x07" in text
    assert page.title() == "</title><script>hacked()</script>"
    assert page.locator("img, iframe, object, embed, link, b[onmouseover]").count() == 0
    assert page.evaluate("typeof hacked") == "undefined"


@pytest.mark.parametrize(
    "attack",
    [
        "const s = document.createElement('script'); s.append('broken=1'); document.head.append(s)",
        "document.body.innerHTML += '<img src=x onerror=\"window.broken = 1\">'",
        "const i = new Image(); i.src = 'https://example.org/x.png'; document.body.append(i)",
        "fetch('https://example.org/').catch(() => {})",
        "document.body.setAttribute('onclick', 'window.broken = 1'); document.body.click()",
    ],
)
def test_the_policy_would_stop_what_escaped(chromium, binary_report, attack):
    page = chromium.new_page()
    requested = []
    page.on("request", lambda request: requested.append(request.url))
    page.goto(binary_report["page"].as_uri())
    page.evaluate(f"try {{ {attack} }} catch (error) {{ window.stopped = String(error) }}")
    page.wait_for_timeout(100)
    assert page.evaluate("window.broken") is None
    for url in requested[1:]:  # told of, and stopped before it was sent
        assert url.startswith("https://example.org/")
    arrived = "performance.getEntriesByType('resource').filter((e) => e.transferSize).length"
    assert page.evaluate(arrived) == 0
    page.close()


@pytest.mark.parametrize("report", ["binary_report", "classes_report"])
def test_a_phone_scrolls_one_way(visit, report, request):
    page = visit(request.getfixturevalue(report)["page"], **PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    box = page.locator("#read-slider").bounding_box()
    assert box["width"] > 200
    assert box["height"] >= 24


def test_without_javascript_the_page_says_so_and_keeps_its_tables(visit, binary_report):
    page = visit(binary_report["page"], java_script_enabled=False)
    assert not page.locator("#cut-slider").is_visible()
    assert page.locator("noscript p").is_visible()
    assert page.get_by_role("heading", name="At the chosen cut-off").is_visible()


def test_every_link_of_the_page_leads_to_a_section(visit, binary_report):
    page = visit(binary_report["page"])
    links = page.locator("nav a")
    assert links.count() > 6
    for link in links.all():
        target = link.get_attribute("href")
        assert page.locator(target).text_content() == link.text_content()


def test_dark_is_dark_and_paper_is_white(visit, binary_report):
    page = visit(binary_report["page"], color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(ground) == "rgb(20, 23, 29)"
    page.emulate_media(media="print")
    assert page.evaluate(ground) == "rgb(255, 255, 255)"
    assert not page.locator("nav").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("report", ["binary_report", "classes_report"])
def test_axe_finds_nothing_serious(chromium, axe, report, scheme, request):
    # The page's own policy would stop the checker too.
    context = chromium.new_context(bypass_csp=True, color_scheme=scheme)
    page = context.new_page()
    page.goto(request.getfixturevalue(report)["page"].as_uri())
    page.evaluate(axe)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    context.close()
    assert found["passes"]
    serious = [
        (item["id"], [re.sub(r"\s+", " ", node["html"])[:120] for node in item["nodes"][:3]])
        for item in found["violations"]
        if item["impact"] in {"serious", "critical", "moderate"}
    ]
    assert serious == []
