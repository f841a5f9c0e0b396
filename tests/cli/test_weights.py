import hashlib
import json

import pytest

from pipelines.weights import REGISTRY, Weights

CONTENT = b"weights"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A cache in which one of two weights is there, as published; returns its folder."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("MTPKD_OFFLINE", "0")
    known = dict(REGISTRY)
    REGISTRY.clear()
    for name, content in {"here": CONTENT, "away": b"others"}.items():
        digest = hashlib.sha256(content).hexdigest()
        weights = Weights(name, f"{name} only", f"http://127.0.0.1:9/{name}.pth", 2_000_000, digest, "MIT", "no more")
        REGISTRY[name] = weights
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / "here.pth").write_bytes(CONTENT)
    yield folder
    REGISTRY.clear()
    REGISTRY.update(known)


def test_list_shows_what_is_there(mtpkd, hub):
    status, out, _ = mtpkd("weights", "list")
    assert status == 0
    assert [line.split() for line in out.splitlines()[2:4]] == [
        ["here", "2", "MIT", "there", "here", "only"], ["away", "2", "MIT", "absent", "away", "only"],
    ]  # fmt: skip
    assert str(hub) in out
    (hub / "here.pth").write_bytes(b"damaged")
    assert "damaged" in mtpkd("weights", "list")[1]


def test_the_real_list_fits_eighty_columns(mtpkd, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", "/t")
    monkeypatch.setenv("COLUMNS", "80")
    out = mtpkd("weights", "list")[1]
    assert len(out.splitlines()) == 2 + len(REGISTRY) + 3
    assert max(map(len, out.splitlines())) <= 80


def test_list_as_json_holds_everything(mtpkd, hub):
    here, away = json.loads(mtpkd("weights", "list", "--json")[1])
    assert (here["state"], away["state"]) == ("there", "absent")
    assert here["path"] == str(hub / "here.pth")
    assert here["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert {"address", "size", "licence", "terms", "purpose"} < set(here)


def test_verify_fails_for_what_is_damaged_or_named_and_absent(mtpkd, hub):
    status, out, _ = mtpkd("weights", "verify")
    assert status == 0
    assert "here: as published" in out
    assert "away: absent" in out
    assert mtpkd("weights", "verify", "away")[0] == 1
    (hub / "here.pth").write_bytes(b"damaged")
    status, out, _ = mtpkd("weights", "verify")
    assert status == 1
    for digest in (hashlib.sha256(b"damaged").hexdigest(), hashlib.sha256(CONTENT).hexdigest()):
        assert digest in out


def test_path_prints_the_path_and_nothing_else(mtpkd, hub):
    assert mtpkd("weights", "path", "here") == (0, f"{hub / 'here.pth'}\n", "")
    status, out, err = mtpkd("weights", "path", "away")
    assert (status, out) == (1, "")
    assert "mtpkd weights fetch away" in err


def test_fetch_leaves_what_is_there_and_says_what_fails(mtpkd, hub):
    assert mtpkd("weights", "fetch", "here") == (0, "here: there already\n", "")
    status, out, err = mtpkd("weights", "fetch", "--all")
    assert (status, out) == (1, "here: there already\n")
    assert "http://127.0.0.1:9/away.pth" in err
    status, _, err = mtpkd("weights", "fetch", "heer")
    assert status == 2
    assert "did you mean here" in err
    assert mtpkd("weights", "fetch")[0] == mtpkd("weights", "fetch", "here", "--all")[0] == 2


@pytest.mark.parametrize(
    "arguments", [("weights", "fetch", "away", "--offline"), ("--offline", "weights", "fetch", "away")]
)
def test_offline_is_understood_before_and_after_the_command(mtpkd, hub, arguments):
    status, _, err = mtpkd(*arguments)
    assert status == 1
    assert "--offline forbids" in err
