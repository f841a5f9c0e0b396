"""Fetching published weights: streamed, resumed, checked while they come, and never over a file that is there.

Decisions:

- pooch, which librosa brings along, neither resumes nor keeps what does not match, so this is a loop over the standard
  library's HTTP client, which knows proxies (`https_proxy`, `no_proxy`) and a time limit.
- What has come lies in `FILE.partial` beside its place. A later attempt asks for the rest; a server that cannot send a
  part sends all again. The file is in its place only once its SHA-256 is the published one.
- What is not the published file is kept aside as `FILE.wrong-sha256`, for whoever wants to know what it is.
- One process fetches a file; others wait for it and find it.
- `MTPKD_OFFLINE=1` forbids every connection, in worker processes too; the command line's `--offline` sets it.
"""

import errno
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, build_opener

from filelock import FileLock

from pipelines import __version__
from pipelines.errors import CannotWrite, MtpkdError
from pipelines.weights.cache import cache_folder, digest_of, path_of
from pipelines.weights.registry import Weights, get_weights

Report = Callable[[int, int], None]
"""Told how many bytes are there, and how many there will be."""

TIMEOUT_S = 20.0
"""Seconds without a byte before a download is given up."""

_CHUNK = 1 << 18


def is_offline() -> bool:
    """Whether connections are forbidden."""
    return os.environ.get("MTPKD_OFFLINE", "") not in ("", "0")


def fetch(weights: Weights, *, report: Report = lambda done, whole: None) -> Path:
    """The file of some weights, fetched where it is absent; a damaged one is put aside and fetched again.

    Raises:
        MtpkdError: offline, no connection, a connection that was cut or says nothing, or what came is not the
            published file.
        CannotWrite: the disk is full, or nothing may be written there.
    """
    path = path_of(weights)
    if path.is_file() and digest_of(path) == weights.sha256:
        return path
    if is_offline():
        raise MtpkdError(
            f"{weights.address}: not fetched, MTPKD_OFFLINE or --offline forbids connections; a copy from elsewhere "
            f"belongs at {path}"
        )
    with _cannot_store(path, weights):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Of its own file, which stays: one that is removed would let two processes in.
        with FileLock(path.with_name(f".{path.name}.lock")):
            if path.is_file():
                if digest_of(path) == weights.sha256:
                    return path
                os.replace(path, _aside(path))
            _download(weights, path, report)
    return path


def ensure(names: Sequence[str], *, user: str, way_out: str = "") -> list[Path]:
    """The files of some weights, each checked; absent ones are fetched, damaged ones are left as they are.

    Args:
        names: of the registry.
        user: what needs them, as the beginning of a sentence.
        way_out: what to do instead, as the rest of a sentence that begins with what is wrong.

    Raises:
        MtpkdError: one is damaged, or absent and cannot be fetched. Names files, folder and addresses.
    """
    wanted = [get_weights(name) for name in names]
    for weights in wanted:
        path = path_of(weights)
        if not path.is_file():
            _fetch_for(user, weights, wanted, way_out)
        elif (found := digest_of(path)) != weights.sha256:
            raise MtpkdError(
                f"{path}: damaged or not the published file, its SHA-256 is {found}, published is {weights.sha256}: "
                f"`mtpkd weights fetch {weights.name}` puts it aside and fetches it again{way_out}"
            )
    return [path_of(weights) for weights in wanted]


def _fetch_for(user: str, weights: Weights, wanted: Sequence[Weights], way_out: str) -> None:
    try:
        fetch(weights)
    except MtpkdError as error:
        absent = [item for item in wanted if not path_of(item).exists()]
        lines = "".join(f"\n  {item.file_name}  from {item.address}" for item in absent)
        names, folder = " ".join(item.name for item in absent), cache_folder()
        raise MtpkdError(
            f"{user} needs weights that are not in {folder} and could not be fetched:{lines}\n{error}\n"
            f"Where there is a network, `mtpkd weights fetch {names}` fetches them; put them into {folder}{way_out}"
        ) from error


def _download(weights: Weights, path: Path, report: Report) -> None:
    partial = path.with_name(path.name + ".partial")
    try:
        digest = _receive(weights, partial, report)
    finally:
        if partial.exists() and not partial.stat().st_size:
            partial.unlink()
    if digest != weights.sha256:
        os.replace(partial, _aside(path))
        raise MtpkdError(
            f"{weights.address}: what came is not the published file, its SHA-256 is {digest}, published is "
            f"{weights.sha256}; it is kept as {_aside(path)}"
        )
    os.replace(partial, path)


def _receive(weights: Weights, partial: Path, report: Report) -> str:
    """Complete the partial file; the SHA-256 of all of it, read while it comes."""
    with partial.open("a+b") as file:
        if file.tell() >= weights.size:  # no beginning of the published file
            file.truncate(0)
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256")
        with _connection(weights, have := file.tell()) as response:
            if response.status != 206:
                file.truncate(0)
                digest, have = hashlib.sha256(), 0
            whole = have + int(response.headers.get("Content-Length") or weights.size - have)
            for chunk in _chunks(response, weights):
                file.write(chunk)
                digest.update(chunk)
                have += len(chunk)
                report(have, whole)
                if have > weights.size:  # not the published file, whatever else may come
                    return digest.hexdigest()
        file.flush()
        os.fsync(file.fileno())
    if have < whole:
        raise MtpkdError(
            f"{weights.address}: the connection ended after {have / 1e6:.1f} of {whole / 1e6:.1f} MB; the same command "
            "goes on where it stopped"
        )
    return digest.hexdigest()


@contextmanager
def _connection(weights: Weights, begin: int) -> Iterator[HTTPResponse]:
    """The answer to a request for everything from a byte on."""
    headers = {"User-Agent": f"mtpkd/{__version__}", "Accept-Encoding": "identity"}
    if begin:
        headers["Range"] = f"bytes={begin}-"
    with _network_trouble(weights):
        response = build_opener().open(Request(weights.address, headers=headers), timeout=TIMEOUT_S)
    with response:
        yield response


def _chunks(response: HTTPResponse, weights: Weights) -> Iterator[bytes]:
    while True:
        with _network_trouble(weights):
            chunk = response.read1(_CHUNK)
        if not chunk:
            return
        yield chunk


@contextmanager
def _network_trouble(weights: Weights) -> Iterator[None]:
    """Tell what the network does from what the disk does: both raise OSError."""
    try:
        yield
    except HTTPError as error:
        raise MtpkdError(f"{weights.address}: the server says {error.code} {error.reason}") from error
    except (OSError, HTTPException) as error:
        reason = error.reason if isinstance(error, URLError) else error
        if isinstance(reason, TimeoutError):
            reason = f"timed out: no byte for {TIMEOUT_S:g} s"
        raise MtpkdError(
            f"{weights.address}: {reason or type(error).__name__}; a copy from elsewhere belongs at {path_of(weights)}"
        ) from error


@contextmanager
def _cannot_store(path: Path, weights: Weights) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        remedy = f"free some space, {weights.size / 1e6:.0f} MB are needed," if full else "allow writing there,"
        raise CannotWrite(
            f"{path} cannot be written ({error.strerror or error}): {remedy} or set TORCH_HOME to another folder"
        ) from error


def _aside(path: Path) -> Path:
    return path.with_name(path.name + ".wrong-sha256")
