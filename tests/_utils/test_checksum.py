"""One checksum: any change of a header, a name, a type, a shape or a value changes it."""

import numpy as np
import pytest

from minids._utils.checksum import array_checksum, file_checksum

ARRAYS = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.zeros(0, np.int32)}


@pytest.mark.parametrize(
    ("header", "arrays"),
    [
        ({"x": 2}, ARRAYS),
        ({"y": 1}, ARRAYS),
        ({"x": 1}, {"a": ARRAYS["a"]}),
        ({"x": 1}, {"a": ARRAYS["a"], "c": ARRAYS["b"]}),
        ({"x": 1}, ARRAYS | {"a": ARRAYS["a"].reshape(3, 2)}),
        ({"x": 1}, ARRAYS | {"a": ARRAYS["a"].view(np.int32)}),
        ({"x": 1}, ARRAYS | {"a": np.nextafter(ARRAYS["a"], np.float32(9))}),
    ],
)
def test_any_change_changes_the_checksum(header, arrays):
    assert array_checksum(header, arrays) != array_checksum({"x": 1}, ARRAYS)


def test_order_and_memory_layout_do_not_matter():
    swapped = {"b": ARRAYS["b"], "a": np.asfortranarray(ARRAYS["a"])}
    assert array_checksum({"x": 1, "y": 2}, swapped) == array_checksum({"y": 2, "x": 1}, ARRAYS)


def test_the_checksum_of_a_file_is_that_of_its_content(tmp_path):
    content = np.random.default_rng(0).bytes(3_000_000)
    (tmp_path / "a").write_bytes(content)
    (tmp_path / "b").write_bytes(content)
    assert file_checksum(tmp_path / "a") == file_checksum(tmp_path / "b")
    (tmp_path / "b").write_bytes(content[:-1] + b"x")
    assert file_checksum(tmp_path / "a") != file_checksum(tmp_path / "b")
    with pytest.raises(OSError, match="No such file"):
        file_checksum(tmp_path / "c")
