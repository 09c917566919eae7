from __future__ import annotations

from typing import get_args

from calibcli.core.results.warning import CODES, Code, Warning, any_of, warned


def test_every_code_has_its_meaning_and_every_meaning_its_code():
    assert set(CODES) == set(get_args(Code))


def test_codes_stand_beside_the_texts():
    said = [Warning("few-rows", "12 rows"), Warning("in-sample", "seen").about("class 'a': ")]
    assert warned(said) == {
        "warnings": ["12 rows", "class 'a': seen"],
        "warning_codes": ["few-rows", "in-sample"],
    }
    assert any_of(said, "in-sample")
    assert not any_of([Warning("fit", "in-sample")], "in-sample")


def test_the_documentation_has_the_table_of_codes(root):
    page = (root / "docs" / "index.md").read_text(encoding="utf-8")
    rows = "\n".join(f"| `{code}` | {meaning} |" for code, meaning in CODES.items())
    assert rows in page
