"""`python -m streamgauge` is `streamgauge`."""

from __future__ import annotations

from streamgauge.cli import app

if __name__ == "__main__":
    app(prog_name="streamgauge")
