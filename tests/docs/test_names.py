"""Links resolve, and every command, topic, metric, table and setting that a page names is there."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import typer.main
from pydantic import BaseModel

from schemas.topics import SPECS
from streamgauge.cli import app
from streamgauge.settings import Settings
from tests.docs.pages import ROOT, Page, page, pages
from tests.docs.tables import BLOCKS, block, exported

EVERY_PAGE = pytest.mark.parametrize("page", pages(), ids=str)


@EVERY_PAGE
def test_links_resolve(page: Page) -> None:
    for link in page.links():
        if re.match(r"https?://|mailto:", link):
            continue
        target, _, anchor = link.partition("#")
        found = (page.path.parent / target).resolve() if target else page.path
        assert found.exists(), f"{page}: {link} leads nowhere"
        assert found.is_relative_to(ROOT), f"{page}: {link} leads out of the project"
        if anchor and found.suffix == ".md":
            assert anchor in Page(found).anchors(), f"{page}: {link} names no heading of {found.name}"


@EVERY_PAGE
def test_no_machine_paths(page: Page) -> None:
    assert not re.findall(r"(?<![\w.])/(?:work|root|tmp|home|Users)/\S*", page.text)


@EVERY_PAGE
def test_commands_exist(page: Page) -> None:
    for line in re.findall(r"streamgauge ((?:[a-z]+ ?)+(?:--?[a-z-]+)?)", "\n".join(_shell(page))):
        words = line.split()
        command: Any = typer.main.get_command(app)
        while words and hasattr(command, "commands"):
            word = words.pop(0)
            if word.startswith("-"):
                break
            assert word in command.commands, f"{page}: there is no command `streamgauge {line}`"
            command = command.commands[word]
        options = {option for parameter in command.params for option in parameter.opts}
        for word in words:
            assert not word.startswith("--") or word in options, f"{page}: `streamgauge {line}` has no option {word}"


def _shell(page: Page) -> Iterator[str]:
    """Lines that a reader would type: in backticks, and in shell blocks."""
    yield from (code for code in page.code() if code.startswith("streamgauge "))
    for language in ("bash", "sh", "console"):
        for body in page.blocks(language):
            yield from (line.removeprefix("$ ") for line in body.splitlines() if re.match(r"(\$ )?streamgauge ", line))


@EVERY_PAGE
def test_topics_exist(page: Page) -> None:
    known = {spec.name for spec in SPECS}
    named = {code for code in page.code() if re.fullmatch(r"(usage|governance)\.[a-z.]+", code)}
    assert named <= known, f"{page}: {sorted(named - known)} are no topics"


@EVERY_PAGE
def test_metrics_exist(page: Page) -> None:
    known = {name for name, *_ in exported()}
    named = set(re.findall(r"\bstreamgauge_(?:enrich|agents|sink)_\w+", page.text))
    named = {re.sub(r"_(bucket|count|sum)$", "", name) if name not in known else name for name in named}
    assert named <= known, f"{page}: {sorted(named - known)} are no metrics"


def _settings(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        yield (*path, name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _settings(field.annotation, (*path, name))


@EVERY_PAGE
def test_settings_exist(page: Page) -> None:
    known = set(_settings(Settings))
    sections = "|".join(Settings.model_fields)
    dotted = {code for code in page.code() if re.fullmatch(rf"({sections})(\.[a-z_0-9]+)+(\.\*)?", code)}
    missing = {code for code in dotted if tuple(code.removesuffix(".*").split(".")) not in known}
    # A line of the log may be meant, as `kafka.waiting`, or a file, as `sink.py`.
    missing -= _log_events()
    missing = {code for code in missing if not code.endswith((".py", ".md", ".sql"))}
    assert not missing, f"{page}: {sorted(missing)} are no settings"
    for name in set(re.findall(rf"\bSTREAMGAUGE_((?:{sections.upper()})__[A-Z_]+)\b", page.text)):
        assert tuple(name.lower().split("__")) in known, f"{page}: STREAMGAUGE_{name} is no setting"


@cache
def _log_events() -> frozenset[str]:
    """Names of the lines that the roles log."""
    code = [
        path.read_text()
        for room in ("streams", "sinks", "runtime", "streamgauge")
        for path in (ROOT / room).rglob("*.py")
    ]
    form = r"(?:log\.[a-z]+|begin)\(\s*\"([a-z_]+\.[a-z_]+)\""
    return frozenset(name for text in code for name in re.findall(form, text))


@pytest.mark.parametrize(("name", "marker", "make"), BLOCKS, ids=[marker for _, marker, _ in BLOCKS])
def test_tables_are_current(name: str, marker: str, make: Any) -> None:
    assert block(page(name), marker)[2] == make() + "\n", (
        f"the {marker} in {name} are not those of the code: run `python -m tests.docs.tables`"
    )


def test_roles_read_and_write_what_their_topics_say() -> None:
    rows = re.findall(
        r"^\| `streamgauge (\w+)(?: serve)?` \| (.+?) \| (.+?) \|", page("docs/operations.md").text, re.MULTILINE
    )
    assert [role for role, _, _ in rows] == ["enrich", "agents", "sink", "check", "forward"]
    for role, reads, writes in rows:
        topics = re.compile(r"`((?:usage|governance)\.[a-z.]+)`")
        assert set(topics.findall(reads)) == {spec.name for spec in SPECS if role in spec.readers}
        assert set(topics.findall(writes)) == {spec.name for spec in SPECS if role in spec.writers}


def test_every_page_is_on_the_map() -> None:
    linked = {(ROOT / "docs" / link.partition("#")[0]).resolve() for link in page("docs/README.md").links()}
    pages_of_docs = {one.path for one in pages() if one.name.startswith("docs/") and one.name != "docs/README.md"}
    assert pages_of_docs <= linked, f"not on the map: {sorted(path.name for path in pages_of_docs - linked)}"


def test_decisions_are_numbered() -> None:
    names = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
    for name in names:
        assert page(f"docs/decisions/{name}").text.startswith(f"# {int(name[:4])}. ")


def test_the_changelog_has_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    sections = re.findall(r"^## \[(.+?)\]", page("CHANGELOG.md").text, re.MULTILINE)
    assert sections[:2] == ["Unreleased", version]


def test_metrics_are_found() -> None:
    """The names above come from describing the metrics; if that broke, nothing would be checked."""
    assert "streamgauge_enrich_events_total" in {name for name, *_ in exported()}
