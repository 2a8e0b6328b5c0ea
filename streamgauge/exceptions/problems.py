"""In: nothing. Out: why a request or a decision is refused, by name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class Refused(ValueError):
    """What was asked for or decided is not in order; the message says what and what to do. Nothing was published."""


class Unauthenticated(Refused):
    """Whoever is at the keyboard has not shown who they are."""


def among(what: str, given: str, known: Iterable[str]) -> str:
    """`budget 'serch' is not known; did you mean 'search'?`"""
    names = sorted(known)
    close = difflib.get_close_matches(given, names, n=1)
    if close:
        return f"{what} {given!r} is not known; did you mean {close[0]!r}?"
    return (
        f"{what} {given!r} is not known; there are {', '.join(names[:8])}{' …' if len(names) > 8 else ''}"
        if names
        else (f"{what} {given!r} is not known, and no {what} is: `streamgauge apply` brings them into force")
    )
