"""JSON for machines: only what the standard allows."""

import json
import math

from minids._utils.strict_json import to_json


def strict(text):
    """Parse without Python's extensions NaN and Infinity."""

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_numbers_that_are_not_finite_become_null():
    value = {"a": math.inf, "b": [1.5, -math.inf, (math.nan, "NaN")], "c": {"d": math.nan}}
    assert strict(to_json(value)) == {"a": None, "b": [1.5, None, [None, "NaN"]], "c": {"d": None}}


def test_text_is_readable_and_can_always_be_encoded():
    assert to_json({"text": "가é"}) == '{"text": "가é"}'
    text = to_json(["\x1b[31m\x9b\x7f", "\udcff", "\u2028"])
    assert text.encode("utf-8")
    assert not set(text) & {"\x1b", "\x9b", "\x7f"}
    assert strict(text) == ["\x1b[31m\x9b\x7f", "\udcff", "\u2028"]


def test_options_are_those_of_the_json_module():
    assert to_json({"b": 1, "a": 2}, sort_keys=True) == '{"a": 2, "b": 1}'
