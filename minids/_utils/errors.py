"""Errors of the user, and their messages."""

# What parsing a damaged or foreign file can raise. Not MemoryError: the file may be good.
LOAD_ERRORS = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)


class InputError(ValueError):
    """Bad input. The message is one line: the file, the line or utterance, what is wrong, and what to do.

    The command line prints it as `minids: error: …` and exits with code 1.
    """


def reason(error: BaseException) -> str:
    """The message of an exception from another library, on one line, for use within ours."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__
