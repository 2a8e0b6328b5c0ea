"""In: a query of somebody who may only read. Out: nothing, or the refusal.

`readonly = 1` of the engine stops writes, table functions that reach out and changes of settings. Measured on chdb 4.4,
it does not stop what an embedded engine takes for the user's own machine: the function `file()`, INTO OUTFILE, KILL
QUERY, DESCRIBE of a remote table, and several statements in one text. Those are refused here by the engine's own parse
tree, before anything is run: only known kinds of statements, and only known table functions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

#: Kinds of statements by the first word of their parse tree.
_KINDS: Final = re.compile(
    r"(SelectWithUnionQuery|SelectIntersectExceptQuery|SelectQuery|Explain|Show\w*|DescribeQuery|Exists\w*|UseQuery)\b"
)
_TABLE_FUNCTIONS: Final = frozenset(
    {
        *("generate_series", "generateseries", "generaterandom", "null", "numbers", "numbers_mt", "primes"),
        *("sqlstandardvalues", "values", "view", "zeros", "zeros_mt"),
    }
)
#: Functions that read files, load models or call other machines.
_FUNCTIONS: Final = re.compile(
    r"(file|filesystem\w*|catboostevaluate|executable\w*|hascolumnintable|url|urlcluster|python|eval|remote|remotesecure|"
    r"ai[a-z]*(?:generate|classify|extract|embed|filter|redact|similarity|translate)|s3|sqlite|postgresql|mysql|mongodb|"
    r"redis)"
)
_NODE: Final = re.compile(r"( *)(\S+)(?: (.*?))?(?: \(alias .*?\))?(?: \(children \d+\))?$")

READONLY: Final = 164
SYNTAX_ERROR: Final = 62
#: Settings of the address that would change how a text is parsed or what readonly means.
FORBIDDEN_SETTINGS: Final = frozenset({"readonly", "allow_ddl", "dialect", "profile"})

_ESCAPES: Final = str.maketrans(
    {"\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0", "\b": "\\b", "\f": "\\f"}
)

#: Runs one query with these parameters and returns its result in JSONEachRow; raises the engine's error.
Run = Callable[[str, dict[str, str]], bytes]


@dataclass(frozen=True, slots=True)
class _Node:
    depth: int
    kind: str
    text: str
    parent: str


class Refused(Exception):
    """A reader's query that is not run; `code` is ClickHouse's."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def check_read(sql: str, parameters: dict[str, str], run: Run) -> None:
    """Raise Refused for a query that a reader may not run. `run` asks the engine, which parses and executes nothing."""
    # Parses one statement and no more, so that nothing can follow it in the text given to EXPLAIN AST.
    run("SELECT formatQuery({statement:String})", {"statement": _escaped(sql)})
    # A FORMAT or INTO OUTFILE in the text belongs to the explained query and is printed, not done.
    tree = run(f"EXPLAIN AST {sql}", parameters)
    lines = [json.loads(line)["explain"] for line in tree.splitlines() if line.strip()]
    nodes = list(_nodes(lines))
    if not nodes or _KINDS.match(nodes[0].kind) is None:
        raise Refused(READONLY, f"{nodes[0].kind if nodes else 'This'} is not a query: this user may only read")
    for node in nodes:
        _check_node(node)


def _check_node(node: _Node) -> None:
    if node.kind == "Function":
        name = node.text.lower()
        if node.parent == "TableExpression" and name not in _TABLE_FUNCTIONS:
            raise Refused(
                READONLY, f"The table function {node.text} reaches outside of the database: it is switched off"
            )
        if _FUNCTIONS.fullmatch(name):
            raise Refused(READONLY, f"The function {node.text} reaches outside of the database: it is switched off")
    if node.kind == "Literal" and node.text.startswith("'") and _is_statement(node.parent):
        raise Refused(READONLY, "INTO OUTFILE writes a file where the engine runs: it is switched off")


def _is_statement(kind: str) -> bool:
    return kind != "SelectQuery" and _KINDS.match(kind) is not None


def _nodes(lines: list[str]) -> Iterator[_Node]:
    """Nodes of a printed parse tree; one blank of indentation is one level."""
    path: list[str] = []
    for line in lines:
        match = _NODE.match(line)
        if match is None:
            continue
        depth = len(match[1])
        del path[depth:]
        yield _Node(depth, match[2], match[3] or "", path[-1] if path else "")
        path.append(match[2])


def _escaped(text: str) -> str:
    """As the value of a query parameter, which ClickHouse reads as one field of TabSeparated."""
    return text.translate(_ESCAPES)
