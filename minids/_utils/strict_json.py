"""JSON as the standard defines it: NaN and infinity, which it lacks, become null."""

import json
import math
import re
from typing import Any


def to_json(value: Any, **options: Any) -> str:
    """The value as one line of JSON; `options` are those of json.dumps.

    Text is not escaped, except control characters, which could reach a terminal, and what UTF-8 cannot encode
    (file names that are not UTF-8).
    """
    text = json.dumps(_finite(value), ensure_ascii=False, allow_nan=False, **options)
    return re.sub("[\x7f-\x9f\ud800-\udfff]", lambda match: f"\\u{ord(match[0]):04x}", text)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
