"""In: settings. Out: where Alertmanager is and how alerts are posted to it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ForwardConfig:
    """`repost_s`: how often open alerts are posted again. `keep_s`: how long Alertmanager holds one without a word.

    `retry_first_s` doubles up to `retry_cap_s` while Alertmanager is away.
    """

    group: str
    url: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    timeout_s: float = 10.0
    repost_s: float = 60.0
    keep_s: float = 3_600.0
    send_info: bool = False
    dashboard_url: str | None = None
    retry_first_s: float = 1.0
    retry_cap_s: float = 30.0
    poll_s: float = 0.2
