"""In: a custody and a port. Out: `/totals/TEAM` on loopback: what a team has used by minute, hour, day and month."""

from __future__ import annotations

from aiohttp import web

from runtime.clock import to_datetime
from schemas.tallies import home_partition
from streams.agents.custody import Custody
from streams.agents.windows import TEAM_MEASURES


async def serve_totals(custody: Custody, port: int | None, partitions: int) -> web.AppRunner | None:
    """Serve until the runner is cleaned up; None without a port. Loopback only: there is no login. OSError: port in
    use.
    """
    if port is None:
        return None

    async def totals(request: web.Request) -> web.Response:
        team = request.match_info["team"]
        found = await custody.totals(team, home_partition(f"team/{team}", partitions))
        if found is None:
            return web.json_response({"error": f"team {team} is not held by this worker"}, status=404)
        rows = [
            {"resolution": window.resolution, "start": to_datetime(window.start).isoformat()}
            | dict(zip(TEAM_MEASURES, window.sums, strict=True))
            for window in found
        ]
        return web.json_response({"team": team, "windows": rows})

    app = web.Application()
    app.router.add_get("/totals/{team:.+}", totals)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return runner
