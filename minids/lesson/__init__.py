"""What lessons are made of: exercises that check themselves, pictures (still or in steps) and sounds.

    from minids.lesson import check, data, listen, show, yours

The lessons themselves are the plain Python files in lessons/; the wheel contains them too.
"""

import io
import sys

from minids.lesson.checking import as_array, check, yours
from minids.lesson.display import collapse_field, listen, show
from minids.lesson.folder import data
from minids.lesson.running import exercise

if isinstance(sys.stdout, io.TextIOWrapper):
    sys.stdout.reconfigure(errors="backslashreplace")  # not every terminal can print all of Unicode

__all__ = ["as_array", "check", "collapse_field", "data", "exercise", "listen", "show", "yours"]
