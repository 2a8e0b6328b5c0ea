"""The examples on the real proxies: LiteLLM, nginx and Envoy ask a running check, and pass calls on or refuse them.

Each proxy is fetched once into the user's cache, and skipped in words where it cannot be had.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from schemas.control.budgets import Scope
from schemas.control.directory import Membership, Sender, Team, TeamTerm
from schemas.control.records import ControlRecord
from streamgauge.checking.judge import Known
from streamgauge.embedded.broker import pick_port
from tests.docs.pages import ROOT
from tests.streamgauge.checking.support import Served, known_of, monthly, serving, status_of
from tests.support import proxies

pytestmark = pytest.mark.slow

EXAMPLES: Final = ROOT / "examples"
#: LiteLLM imports for twenty seconds on two cores, and for longer the first time.
UP_S: Final = 120.0
SEARCH, SALES = "Bearer search-1", "Bearer sales-1"


def company(search_usd: int) -> Known:
    """Two teams with a key each. Search has used so much of its $100; sales stands at its soft limit."""
    search, sales = monthly("search-month", Scope(team="search")), monthly("sales-month", Scope(team="sales"))
    documents: list[ControlRecord] = [
        *(Team(id=name, terms=(TeamTerm(),)) for name in ("search", "sales")),
        *(
            Sender(sender="credential", id=f"{name}-key-1", terms=(Membership(team=name),))
            for name in ("search", "sales")
        ),
        search,
        sales,
        monthly("dear", Scope(team="search", model_class="frontier")),
    ]
    return known_of(documents, [status_of(search, search_usd), status_of(sales, 100)])


class Models(BaseHTTPRequestHandler):
    """Whoever serves the models: tells what it was sent."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        told = json.dumps({"path": self.path, "body": body, "headers": dict(self.headers)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


@pytest.fixture(scope="module")
def models() -> Iterator[int]:
    """The port of the models."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Models)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join(10)


@pytest.fixture(scope="module")
def check() -> Iterator[Served]:
    with serving(company(10)) as served:
        yield served


def obtain(fetch: Callable[[], Path]) -> Path:
    try:
        return fetch()
    except proxies.ProxyUnavailableError as error:
        pytest.skip(str(error))


def port_of(served: Served) -> int:
    return int(served.url.rpartition(":")[2])


class Proxy:
    """A running proxy; `call` as a client does."""

    def __init__(self, argv: list[str], port: int, folder: Path, more: Mapping[str, str]) -> None:
        self.port, self._log = port, folder / "proxy.log"
        mine = {name: value for name, value in os.environ.items() if not name.startswith("STREAMGAUGE_")}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(argv, cwd=folder, env=mine | dict(more), stdout=log, stderr=log)

    def wait(self, path: str) -> None:
        """Until it answers."""
        deadline = time.monotonic() + UP_S
        while True:
            assert self.process.poll() is None, f"it ended by itself:\n{self.log()}"
            try:
                self.call(path, method="GET")
                return
            except OSError:
                assert time.monotonic() < deadline, f"it does not come up:\n{self.log()}"
                time.sleep(0.1)

    def call(
        self, path: str, headers: Mapping[str, str] | None = None, body: object = None, method: str = "POST"
    ) -> tuple[int, dict[str, str], str]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            data,
            {"Content-Type": "application/json", **(headers or {})},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read().decode()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, {k.lower(): v for k, v in refused.headers.items()}, refused.read().decode()

    def log(self) -> str:
        return self._log.read_text(errors="replace")[-3_000:]

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(15)


@pytest.fixture(scope="module")
def litellm(tmp_path_factory: pytest.TempPathFactory, check: Served) -> Iterator[Proxy]:
    """Started before the others are tried: it takes its time to come up."""
    python = obtain(proxies.litellm)
    folder = tmp_path_factory.mktemp("litellm")
    (folder / "streamgauge_check.py").write_text((EXAMPLES / "litellm" / "streamgauge_check.py").read_text())
    config = yaml.safe_load((EXAMPLES / "litellm" / "config.yaml").read_text())
    # The one thing that is not the example's own: there is no OpenAI here.
    config["model_list"][0]["litellm_params"] |= {"api_key": "none", "mock_response": "hello"}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    port = pick_port()
    options = ("--config", "config.yaml", "--host", "127.0.0.1", "--port", str(port))
    proxy = Proxy(
        [str(python), "-c", "from litellm import run_server; run_server()", *options],
        port,
        folder,
        {
            "PYTHONPATH": str(folder),
            "STREAMGAUGE_CHECK_URL": f"{check.url}/check",
            # A machine full of other tests.
            "STREAMGAUGE_CHECK_TIMEOUT": "5",
            "LITELLM_MASTER_KEY": "sk-master",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_TELEMETRY": "False",
        },
    )
    yield proxy
    proxy.stop()


@pytest.fixture
def nginx(tmp_path: Path, check: Served, models: int) -> Iterator[Proxy]:
    program, port = obtain(proxies.nginx), pick_port()
    text = (EXAMPLES / "nginx" / "nginx.conf").read_text()
    for given, mine in (("8450", port_of(check)), ("9000", models), ("8080", port)):
        assert text.count(f"127.0.0.1:{given}") == 1
        text = text.replace(f"127.0.0.1:{given}", f"127.0.0.1:{mine}")
    # A machine full of other tests.
    text = text.replace("100ms", "5s").replace("250ms", "5s")
    # Where Debian's nginx would keep its files, which a test may not touch.
    paths = "".join(f"{name}_temp_path {tmp_path};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    text = text.replace("http {", f"http {{\naccess_log off;\n{paths}", 1)
    (tmp_path / "nginx.conf").write_text(f"daemon off;\npid {tmp_path}/nginx.pid;\nerror_log stderr;\n{text}")
    proxy = Proxy([str(program), "-p", str(tmp_path), "-c", "nginx.conf", "-e", "stderr"], port, tmp_path, {})
    proxy.wait("/")
    yield proxy
    proxy.stop()


@pytest.fixture
def envoy(tmp_path: Path, check: Served, models: int) -> Iterator[Proxy]:
    program, port = obtain(proxies.envoy), pick_port()
    text = (EXAMPLES / "envoy" / "envoy.yaml").read_text()
    for given, mine in (("8450", port_of(check)), ("9000", models), ("8080", port)):
        assert text.count(f"port_value: {given}") == 1
        text = text.replace(f"port_value: {given}", f"port_value: {mine}")
    text = text.replace("timeout: 0.25s", "timeout: 5s").replace("connect_timeout: 0.1s", "connect_timeout: 5s")
    (tmp_path / "envoy.yaml").write_text(text)
    argv = [str(program), "-c", "envoy.yaml", "--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]
    proxy = Proxy(argv, port, tmp_path, {})
    proxy.wait("/")
    yield proxy
    proxy.stop()


def test_nginx_passes_warns_and_refuses(litellm: Proxy, nginx: Proxy, check: Served) -> None:
    del litellm
    check.known = company(10)
    code, headers, body = nginx.call("/models/gpt-4o/v1/chat", {"Authorization": SEARCH}, {"prompt": "hi"})
    assert (code, headers["x-streamgauge-decision"]) == (200, "allow")
    assert json.loads(body)["body"] == '{"prompt": "hi"}', "the call itself went on untouched"

    check.known = company(85)
    code, headers, _ = nginx.call("/models/gpt-4o/v1/chat", {"Authorization": SEARCH}, {"prompt": "hi"})
    assert (code, headers["x-streamgauge-decision"]) == (200, "warn")
    assert "$85.00 of $100.00 used, at its warning level" in headers["x-streamgauge-reason"]

    check.known = company(130)
    # Headers of the caller that pretend to be the gateway's do not get through.
    liar = {"Authorization": SEARCH, "X-Streamgauge-Credential": "other", "X-Streamgauge-Team": "other"}
    code, headers, body = nginx.call("/models/gpt-4o/v1/chat", liar, {"prompt": "hi"})
    assert (code, headers["x-streamgauge-decision"]) == (429, "stop")
    assert int(headers["retry-after"]) > 0
    assert "search-month" in body
    code, headers, body = nginx.call("/models/gpt-4o/v1/chat", {"Authorization": SALES}, {"prompt": "hi"})
    assert (code, headers["x-streamgauge-decision"]) == (429, "needs_acknowledgement")
    assert "streamgauge budgets ack sales-month" in body


def test_envoy_passes_warns_and_refuses(litellm: Proxy, envoy: Proxy, check: Served) -> None:
    del litellm
    mine = {"Authorization": SEARCH, "X-Model": "gpt-4o"}
    check.known = company(10)
    code, _, body = envoy.call("/v1/chat/completions?a=b", mine, {"prompt": "hi"})
    assert code == 200
    told = json.loads(body)
    assert (told["path"], told["body"]) == ("/v1/chat/completions?a=b", '{"prompt": "hi"}')

    check.known = company(85)
    code, _, body = envoy.call("/v1/chat/completions", mine, {"prompt": "hi"})
    passed = {name.lower(): value for name, value in json.loads(body)["headers"].items()}
    assert (code, passed["x-streamgauge-decision"]) == (200, "warn")

    check.known = company(130)
    liar = mine | {"X-Streamgauge-Credential": "other", "X-Streamgauge-Team": "other"}
    code, headers, body = envoy.call("/v1/chat/completions", liar, {"prompt": "hi"})
    assert (code, headers["x-streamgauge-decision"]) == (429, "stop")
    assert int(headers["retry-after"]) > 0
    assert json.loads(body)["reasons"][0]["id"] == "search-month"
    code, headers, _ = envoy.call("/v1/chat/completions", mine | {"Authorization": SALES}, {"prompt": "hi"})
    assert (code, headers["x-streamgauge-decision"]) == (403, "needs_acknowledgement")


def test_litellm_passes_and_refuses(litellm: Proxy, check: Served) -> None:
    litellm.wait("/health/liveliness")
    budget = monthly("triage", Scope(use_case="triage"))

    def call(use_case: str) -> tuple[int, dict[str, str], str]:
        body: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
        body["metadata"] = {"use_case": use_case}
        return litellm.call("/v1/chat/completions", {"Authorization": "Bearer sk-master"}, body)

    check.known = known_of([budget], [status_of(budget, 130)])
    code, headers, body = call("triage")
    assert code == 429, litellm.log()
    assert "Budget triage (use case triage" in body
    assert int(headers["retry-after"]) > 0
    assert call("search")[0] == 200
    check.known = known_of([budget], [status_of(budget, 100)])
    code, _, body = call("triage")
    assert code == 403
    assert "streamgauge budgets ack triage" in body
    check.known = known_of([budget], [status_of(budget, 90)])
    code, _, body = call("triage")
    assert code == 200
    assert json.loads(body)["choices"][0]["message"]["content"] == "hello"
    assert re.search(r"goes on with a warning: Budget triage", litellm.log())
    check.known = known_of([budget], [status_of(budget, 10)])
    assert call("triage")[0] == 200


@pytest.mark.parametrize("kind", ["nginx", "envoy"])
def test_a_check_that_is_away_fails_open(kind: str, tmp_path: Path, models: int) -> None:
    """And says so, where the proxy can."""
    fetch = proxies.nginx if kind == "nginx" else proxies.envoy
    obtain(fetch)
    away = pick_port()
    maker: Any = {"nginx": nginx, "envoy": envoy}[kind].__wrapped__  # type: ignore[attr-defined]
    made = maker(tmp_path, Served(f"http://127.0.0.1:{away}", known_of([]), None), models)  # type: ignore[arg-type]
    proxy: Proxy = next(made)
    try:
        code, headers, body = proxy.call("/models/gpt-4o/x", {"Authorization": SEARCH}, {"prompt": "hi"})
        assert (code, json.loads(body)["body"]) == (200, '{"prompt": "hi"}')
        if kind == "nginx":
            assert headers["x-streamgauge-decision"] == "unchecked"
    finally:
        next(made, None)
