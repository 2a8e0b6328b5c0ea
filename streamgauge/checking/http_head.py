"""In: the head of a request as bytes. Out: what it says; and the reply that a handler gives.

Strict: what is not clearly well-formed, or tells the length of its body in two ways, is refused, so that nobody in
front of this server can read a request differently.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, unquote

_BROKEN: Final = re.compile(r"[\r\n\0]")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_TOKEN: Final = frozenset("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


@dataclass(frozen=True, slots=True)
class Request:
    """`path` and `query` are decoded; names of headers are as they were sent. `body`: None where the handler does not
    want it: then it is passed over unread.
    """

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: list[tuple[str, str]]
    body: bytes | None

    def header(self, name: str) -> str | None:
        """By its name in lower case."""
        return next((value for known, value in self.headers if known.lower() == name), None)


@dataclass(frozen=True, slots=True)
class Reply:
    """`body` is JSON."""

    code: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


class Malformed(ValueError):
    """Such a request is not taken; `code` says why, the message in words."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code


@dataclass(slots=True)
class Head:
    method: str
    path: str
    query: list[tuple[str, str]]
    headers: list[tuple[str, str]]
    #: Bytes of the body; None: it comes in chunks.
    length: int | None
    keep: bool
    expects: bool


def parse_head(head: bytes) -> Head:
    """The request line and the headers, without the empty line. Raises Malformed."""
    lines = head.decode("utf-8", "surrogateescape").split("\r\n")
    method, target, version = _first_line(lines[0])
    headers = [_header(line) for line in lines[1:]]
    found = Head(method, *_target(target), headers, 0, keep=version == "HTTP/1.1", expects=False)
    lengths: set[str] = set()
    for name, value in headers:
        meaning = name.lower()
        if meaning == "content-length":
            lengths.add(value)
        elif meaning == "transfer-encoding":
            if version == "HTTP/1.0":
                raise Malformed(400, "HTTP/1.0 knows no chunks")
            if value.lower() != "chunked" or found.length is None:
                raise Malformed(501, "of transfer encodings only chunked is known here")
            found.length = None
        elif meaning == "connection":
            options = [one.strip().lower() for one in value.split(",")]
            found.keep = "close" not in options and (found.keep or "keep-alive" in options)
        elif meaning == "expect":
            found.expects = value.lower() == "100-continue"
    if len(lengths) + (found.length is None) > 1:
        raise Malformed(400, "the length of the body is told in more than one way")
    for text in lengths:
        found.length = _length(text)
    return found


def _first_line(line: str) -> tuple[str, str, str]:
    """Method, target and version."""
    parts = line.split(" ")
    if len(parts) != 3 or not parts[0] or not _TOKEN.issuperset(parts[0]):
        raise Malformed(400, "the first line of a request is METHOD TARGET HTTP/1.1")
    method, target, version = parts
    if not target or _CONTROL.search(target):
        raise Malformed(400, "the target of a request has no control characters")
    if version not in ("HTTP/1.1", "HTTP/1.0"):
        raise Malformed(505, "HTTP/1.1 is spoken here")
    return method, target, version


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name or not _TOKEN.issuperset(name) or _BROKEN.search(value):
        raise Malformed(400, "a header is NAME: VALUE on one line")
    return name, value.strip(" \t")


def _length(text: str) -> int:
    # nginx sends an empty one where it is told not to pass the body on.
    if text and not (text.isascii() and text.isdigit() and len(text) < 16):
        raise Malformed(400, "Content-Length is no number")
    return int(text or 0)


def _target(target: str) -> tuple[str, list[tuple[str, str]]]:
    """Path and query of `/path?query`, or of `http://host/path?query`."""
    if target.lower().startswith(("http://", "https://")):
        target = "/" + target.partition("://")[2].partition("/")[2]
    path, _, query = target.partition("#")[0].partition("?")
    return unquote(path), parse_qsl(query, keep_blank_values=True) if query else []
