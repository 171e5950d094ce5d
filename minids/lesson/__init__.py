"""What a lesson is made of: exercises that check themselves, and pictures, still ones or in steps.

    from minids.lesson import data, exercise, show

The lessons themselves are the plain Python files of lessons/; they travel with the package.
"""

from minids.lesson.checking import exercise
from minids.lesson.display import show
from minids.lesson.folder import data

__all__ = ["data", "exercise", "show"]
