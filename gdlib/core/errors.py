"""Messages: every error a user can cause is one line that names the choices."""

from collections.abc import Iterable
from difflib import get_close_matches


class GdlibError(Exception):
    """An error whose message, one line, is meant for the person at the keyboard.

    It may quote what a file holds: line breaks, and characters that colour a terminal or turn the
    direction of its text around, become blanks.
    """

    def __str__(self) -> str:
        return "".join(char if char.isprintable() else " " for char in super().__str__())


class UnknownName(GdlibError):
    """A name that is not among the known ones; the message lists them."""


class BadCorpus(GdlibError):
    """Texts or labels that cannot be studied as they are."""


class BadDownload(GdlibError):
    """A file that is missing, damaged or not the one that was pinned."""


class StaleArtifact(GdlibError):
    """An artifact that was made from something else than what it is asked for."""


class BadStore(GdlibError):
    """A folder of artifacts that cannot be written, or whose disk is full."""


class BadSetting(GdlibError):
    """A parameter of the wrong type or out of range."""


def unknown(what: str, given: object, known: Iterable[str], hint: str = "") -> UnknownName:
    """The error for a name that is not known: ``unknown corpus "bbcc"; did you mean "bbc"? known:
    bbc, movies (or a folder)``. Upper and lower case count as the same for what is nearest.

    Args:
        what: the kind of thing named, in the field's terms ("corpus", "student").
        given: what the user wrote.
        known: the names that would have been right.
        hint: what else would be accepted, in parentheses at the end.
    """
    known = tuple(known)
    folded = {name.casefold(): name for name in known}
    close = get_close_matches(str(given).casefold(), folded, 1)
    nearest = f'did you mean "{folded[close[0]]}"? ' if close else ""
    tail = f" ({hint})" if hint else ""
    return UnknownName(f'unknown {what} "{given}"; {nearest}known: {", ".join(known)}{tail}')


def first_line(error: Exception) -> str:
    """What an error of another library says, in one line."""
    return next(
        (line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__
    )
