"""In: the environment and a TOML file. Out: one checked `Settings` value, and each role's own configuration made from
it.

`sections` every setting with its meaning · `loading` where values come from, and errors in one sentence ·
`unknown` misspelt names and misplaced secrets · `convert` from settings to what the rooms take · `docs` the page
about them.
"""

from __future__ import annotations

from streamgauge.settings.loading import Settings, load_settings
from streamgauge.settings.unknown import SettingsError

__all__ = ["Settings", "SettingsError", "load_settings"]
