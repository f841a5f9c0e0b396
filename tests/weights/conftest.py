"""A hub of its own, a server that can be told to misbehave, and weights that it publishes."""

import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipelines.weights import REGISTRY, Weights

CONTENT = bytes(range(256)) * 4096


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Path:
    """An empty torch hub; returns the folder in which weights are looked for."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MTPKD_OFFLINE", "0")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "home" / "hub" / "checkpoints"


@pytest.fixture
def server(hub):
    """Serves `content` at every path; yields (address, the handler's class, whose attributes say how)."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        content = CONTENT
        status = 200
        ranges = True
        cut_after: int | None = None
        silent = False
        slow_s = 0.0
        requests: tuple[str, ...] = ()
        paths: tuple[str, ...] = ()

        def do_GET(self):
            kind = type(self)
            kind.requests += (self.headers.get("Range", ""),)
            kind.paths += (self.path,)
            time.sleep(2 if self.silent else self.slow_s)
            begin = int(self.headers["Range"][6:-1]) if self.ranges and "Range" in self.headers else 0
            body = self.content[begin:]
            self.send_response(206 if begin else self.status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            with suppress(OSError):  # who asked has heard enough
                self.wfile.write(body[: self.cut_after])
            self.close_connection = True

        def log_message(self, *_):
            pass

    service = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.daemon_threads = True
    threading.Thread(target=service.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{service.server_port}", Handler
    service.shutdown()
    service.server_close()


@pytest.fixture
def published(server) -> Iterator[Weights]:
    """Weights that the server publishes, by the name `net`; the only ones of the registry."""
    weights = Weights(
        name="net",
        purpose="tests",
        address=f"{server[0]}/models/net-{hashlib.sha256(CONTENT).hexdigest()[:8]}.pth",
        size=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        licence="MIT",
        terms="none",
    )
    known = dict(REGISTRY)
    REGISTRY.clear()
    REGISTRY["net"] = weights
    yield weights
    REGISTRY.clear()
    REGISTRY.update(known)


@pytest.fixture
def closed_address() -> str:
    """Where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"
