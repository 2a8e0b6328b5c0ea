"""In: a level and a form. Out: structured logs on standard error: one JSON object a line, or plain text for people."""

from __future__ import annotations

import logging
import sys
from typing import Literal

import structlog

from runtime.log_limit import LogLimit

LogForm = Literal["json", "text"]


def configure_logs(level: str = "INFO", form: LogForm = "json", role: str | None = None) -> None:
    """Set up structlog for this process. Call once, first thing. ValueError for an unknown level."""
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"log level {level!r} is not one of DEBUG, INFO, WARNING, ERROR")
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=24)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(
        level=max(number, logging.WARNING), stream=sys.stderr, format="%(levelname)s %(name)s %(message)s"
    )
    # Client libraries log this way; our own lines do not.
    for handler in logging.getLogger().handlers:
        if not any(isinstance(limit, LogLimit) for limit in handler.filters):
            handler.addFilter(LogLimit())
    if role is not None:
        structlog.contextvars.bind_contextvars(role=role)
