import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibcli.render.formats.jsonout import render_json

TREES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters()),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(), max_size=5), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(TREES)
def test_json_reads_back_exactly_and_encodes(tree):
    text = render_json({"x": tree})
    assert json.loads(text) == {"x": tree}
    text.encode("utf-8")
    assert text.endswith("}\n")


@given(st.text(st.characters()))
def test_no_control_or_reordering_character_is_left(text):
    out = render_json({"name": text})
    bad = set(out) & {chr(c) for c in [*range(32), *range(127, 160), *range(0x202A, 0x202F)]}
    assert bad <= {"\n"}


def test_letters_stay_readable():
    assert "日本語" in render_json({"name": "日本語"})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_nan_and_infinity_are_refused(value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        render_json({"value": value})


@pytest.mark.parametrize("value", [np.int64(1), np.arange(2), {1, 2}])
def test_what_json_does_not_have_is_refused(value):
    with pytest.raises(TypeError):
        render_json({"value": value})


def test_keys_keep_their_order_and_bytes_repeat(make_binary):
    result = make_binary(calibrated=True)
    assert render_json(result) == render_json(make_binary(calibrated=True))
    assert list(json.loads(render_json(result))) == list(result)
