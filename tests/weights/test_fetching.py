"""Downloads from a server on this machine that is cut, silent, wrong, or asked by two at a time."""

import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.errors import CannotWrite, MtpkdError
from pipelines.weights import REGISTRY, ensure, fetch, fetching, path_of

ROOT = Path(__file__).resolve().parents[2]


def there(hub):
    """What is in the cache, without locks."""
    return sorted(path.name for path in hub.iterdir() if path.suffix != ".lock")


@pytest.fixture
def whole(server):
    """What the server publishes."""
    return server[1].content


def test_a_file_is_fetched_once_and_reported(published, server, hub, whole):
    told = []
    for _ in range(2):
        path = fetch(published, report=lambda done, size: told.append((done, size)))
        assert path == hub / published.file_name == path_of(published)
        assert path.read_bytes() == whole
    assert server[1].requests == ("",)
    assert told[-1] == (len(whole), len(whole))
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert there(hub) == [published.file_name]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_cut_download_goes_on(published, server, hub, whole, ranges):
    handler = server[1]
    handler.cut_after, handler.ranges = 300_000, ranges
    with pytest.raises(MtpkdError, match=r"ended after 0.3 of 1.0 MB; the same command goes on"):
        fetch(published)
    assert there(hub) == [f"{published.file_name}.partial"]
    handler.cut_after = None
    assert fetch(published).read_bytes() == whole
    assert handler.requests == ("", "bytes=300000-")
    assert there(hub) == [published.file_name]


def test_a_beginning_of_something_else_is_found_out_and_the_next_attempt_is_whole(published, server, hub, whole):
    hub.mkdir(parents=True)
    (hub / f"{published.file_name}.partial").write_bytes(b"x" * 1000)
    with pytest.raises(MtpkdError, match="not the published file"):
        fetch(published)
    assert fetch(published).read_bytes() == whole
    (hub / published.file_name).unlink()
    (hub / f"{published.file_name}.partial").write_bytes(b"x" * len(whole))
    assert fetch(published).read_bytes() == whole


@pytest.mark.parametrize("content", [b"<html>please log in</html>", b"x" * 5_000_000])
def test_what_is_not_the_published_file_is_kept_aside(published, server, hub, content):
    server[1].content = content
    with pytest.raises(MtpkdError, match=f"SHA-256 is [0-9a-f]{{64}}, published is {published.sha256}; it is kept as"):
        fetch(published)
    assert there(hub) == [f"{published.file_name}.wrong-sha256"]
    assert content.startswith((hub / there(hub)[0]).read_bytes())
    assert (hub / there(hub)[0]).stat().st_size < 2 * published.size


def test_a_damaged_file_is_put_aside_and_fetched_again(published, hub, whole):
    hub.mkdir(parents=True)
    (hub / published.file_name).write_bytes(b"damaged")
    assert fetch(published).read_bytes() == whole
    assert (hub / f"{published.file_name}.wrong-sha256").read_bytes() == b"damaged"


def test_a_silent_server_is_given_up(published, server, hub, monkeypatch):
    server[1].silent = True
    monkeypatch.setattr(fetching, "TIMEOUT_S", 0.2)
    start = time.monotonic()
    with pytest.raises(MtpkdError, match=r"timed out: no byte for 0.2 s"):
        fetch(published)
    assert time.monotonic() - start < 1.5
    assert there(hub) == []


def test_what_the_server_says_is_said(published, server, hub):
    server[1].status = 404
    with pytest.raises(MtpkdError, match="the server says 404 Not Found"):
        fetch(published)
    assert there(hub) == []


def test_a_full_disk_is_said(published, hub, disk_full_at):
    said = r"cannot be written.*free some space, 1 MB are needed.*TORCH_HOME"
    with disk_full_at(500_000), pytest.raises(CannotWrite, match=said):
        fetch(published)


def test_offline_opens_no_socket(published, server, hub, monkeypatch):
    def opened(*_, **__):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", opened)
    monkeypatch.setattr(socket, "create_connection", opened)
    monkeypatch.setattr(socket, "getaddrinfo", opened)
    monkeypatch.setenv("MTPKD_OFFLINE", "1")
    with pytest.raises(MtpkdError, match="not fetched, MTPKD_OFFLINE or --offline"):
        fetch(published)
    hub.mkdir(parents=True)
    (hub / published.file_name).write_bytes(server[1].content)
    assert fetch(published).exists()
    assert ensure(["net"], user="a test") == [hub / published.file_name]


def test_a_proxy_is_asked(published, server, monkeypatch, whole):
    monkeypatch.setenv("http_proxy", server[0])
    elsewhere = replace(published, address="http://weights.invalid/net.pth")
    assert fetch(elsewhere).read_bytes() == whole
    assert server[1].paths == ("http://weights.invalid/net.pth",)


FETCH = """
import sys
from pipelines.weights import Weights, fetch
fetch(Weights("net", "", sys.argv[1], int(sys.argv[2]), sys.argv[3], "", ""))
"""


def test_of_two_processes_one_fetches_and_both_have_it(published, server, hub, whole):
    server[1].slow_s = 0.5
    command = [sys.executable, "-c", FETCH, published.address, str(published.size), published.sha256]
    both = [subprocess.Popen(command, cwd=ROOT) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    assert server[1].requests == ("",)
    assert (hub / published.file_name).read_bytes() == whole


def test_who_needs_weights_that_cannot_be_fetched_is_told_all_of_it(published, hub, closed_address):
    REGISTRY["net"] = replace(published, address=f"{closed_address}/net-01234567.pth")
    with pytest.raises(MtpkdError) as caught:
        ensure(["net"], user="the test", way_out=", or do without")
    for words in ("the test needs", str(hub), "net-01234567.pth  from http", "Connection refused", "or do without"):
        assert words in str(caught.value)
    assert "mtpkd weights fetch net" in str(caught.value)


def test_damaged_weights_are_named_and_left(published, server, hub):
    hub.mkdir(parents=True)
    (hub / published.file_name).write_bytes(b"damaged")
    with pytest.raises(MtpkdError, match=f"{hub}/net-.*damaged.*mtpkd weights fetch net"):
        ensure(["net"], user="the test")
    assert server[1].requests == ()
    assert (hub / published.file_name).read_bytes() == b"damaged"
