"""What a user can get wrong, said in one line."""


class InputError(ValueError):
    """Bad input. The message is one line: the file, the line or utterance, what is wrong, and the remedy.

    The command line prints it as `minids: error: …` and ends with exit code 1.
    """


def reason(error: BaseException) -> str:
    """An exception of another library as words for the end of our one-line message."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__
