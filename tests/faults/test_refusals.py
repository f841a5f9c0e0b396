"""A full disk, a target that may not be written to, sources that vanish, two runs at once: words, and nothing lost."""

import os
import shutil
import subprocess
import sys

import pytest

from pipelines.cache.tables import read_failures
from pipelines.errors import TooManyFailures
from pipelines.recipe import BioVidCorpus
from pipelines.recipe.loading import override_recipe, plain, render_recipe
from pipelines.stages import preprocess
from pipelines.stages.locking import hold
from pipelines.stages.shards.unit import ShardUnit
from pipelines.workspace import Workspace

PREPROCESS = f"{sys.executable} -m mtpkd_cli preprocess biovid --workers 1 --workspace"


@pytest.fixture
def workspace(raw, tmp_path):
    """A workspace that knows its recipe, for the command line."""
    place = Workspace(tmp_path / "w")
    place.root.mkdir()
    place.recipe.write_text(render_recipe(raw))
    return place


def shell(script):
    """Exit status, and all that was said on one line."""
    done = subprocess.run(
        ["sh", "-c", script], stdout=-1, stderr=subprocess.STDOUT, text=True, timeout=300, check=False
    )
    return done.returncode, " ".join(done.stdout.split())


def in_own_mounts(script):
    """The same where file systems can be mounted that nobody else sees."""
    if shell("unshare -rm mount -t tmpfs tmpfs /tmp")[0] != 0:
        pytest.skip("NOT TESTED: this machine lets nobody mount a small file system")
    return shell(f"unshare -rm sh -c '{script}'")


def test_a_full_disk_is_told_and_costs_what_was_in_flight(workspace, undisturbed, digests, tmp_path):
    root, recipe, kept = workspace.root, tmp_path / "recipe.yaml", tmp_path / "kept"
    shutil.copy(workspace.recipe, recipe)
    status, said = in_own_mounts(
        f"mount -t tmpfs -o size=200k tmpfs {root} && cp {recipe} {root}/recipe.yaml\n{PREPROCESS} {root}\n"
        f'echo "exit status: $?"; find {root} -name "*.partial"\n'
        f"mount -o remount,size=100m {root} && {PREPROCESS} {root} && cp -r {root} {kept}"
    )
    assert status == 0
    first, _, second = said.partition("exit status: 1")
    assert "cannot be written (No space left on device): free some space" in first
    assert "Traceback" not in said
    assert ".partial" not in second
    assert digests(Workspace(kept)) == undisturbed


def test_a_limit_on_files_is_told_in_the_same_way(workspace, undisturbed, digests):
    status, said = shell(f"ulimit -f 30; {PREPROCESS} {workspace.root}")
    assert status == 1
    assert "cannot be written (File too large): free some space" in said
    assert "Traceback" not in said
    assert digests(workspace).items() <= undisturbed.items()
    assert not list(workspace.root.rglob("*.partial"))


def test_a_target_that_may_not_be_written_to_is_named(raw, tmp_path):
    root = tmp_path / "w"
    root.mkdir()
    script = f"{PREPROCESS} {root}/here {raw.corpus.root}"
    if os.geteuid() == 0:
        status, said = in_own_mounts(f"mount -t tmpfs -o ro tmpfs {root} && {script}")
    else:
        root.chmod(0o500)
        status, said = shell(script)
        root.chmod(0o700)
    assert status == 1
    assert f"{root}/here" in said
    assert "allow writing there, or choose another --workspace" in said
    assert "Traceback" not in said


@pytest.fixture
def own(raw, tmp_path):
    """The recipe on a private copy of the corpus."""
    root = tmp_path / "corpus"
    shutil.copytree(raw.corpus.root, root)
    return override_recipe(raw, corpus=plain(BioVidCorpus(root=root)))


def when_first_read(monkeypatch, clip, act):
    """Do something when a clip is about to be read, after everything was indexed and identified."""
    start = ShardUnit.start

    def watched(self, name, file, job):
        if name == (clip or name) and not done:
            done.append(name)
            act(file)
        start(self, name, file, job)

    done = []
    monkeypatch.setattr(ShardUnit, "start", watched)
    return done


def test_a_source_that_vanishes_is_a_failure_until_it_is_back(own, monkeypatch, undisturbed, digests, tmp_path):
    workspace = Workspace(tmp_path / "cache")
    video = sorted(own.corpus.root.rglob("*.mp4"))[3]
    when_first_read(monkeypatch, video.stem, lambda file: file.rename(tmp_path / "elsewhere"))
    preprocess.run(own, workspace, only="faces", workers=0)
    (failure,) = read_failures(workspace.failures)
    assert (failure.clip, failure.modality, failure.reason) == (video.stem, "faces", "the file does not exist")
    (tmp_path / "elsewhere").rename(video)
    preprocess.run(own, workspace, workers=0)
    assert read_failures(workspace.failures) == []
    assert digests(workspace) == undisturbed


def test_a_source_that_changes_while_it_is_read_is_read_again(own, monkeypatch, undisturbed, digests, tmp_path):
    workspace = Workspace(tmp_path / "cache")
    video = sorted(own.corpus.root.rglob("*.mp4"))[3]
    whole = video.read_bytes()
    when_first_read(monkeypatch, video.stem, lambda file: file.write_bytes(whole[:2000]))
    preprocess.run(own, workspace, only="faces", workers=0, max_failures=1)
    video.write_bytes(whole)
    preprocess.run(own, workspace, workers=0)
    assert digests(workspace) == undisturbed


def test_a_corpus_that_vanishes_leaves_nothing_that_looks_done(own, monkeypatch, undisturbed, digests, tmp_path):
    workspace = Workspace(tmp_path / "cache")
    root, elsewhere = own.corpus.root, tmp_path / "unmounted"
    seventh = sorted(video.stem for video in root.rglob("*.mp4"))[6]
    when_first_read(monkeypatch, seventh, lambda file: root.rename(elsewhere))
    with pytest.raises(TooManyFailures, match="clips failed"):
        preprocess.run(own, workspace, workers=0)
    elsewhere.rename(root)
    preprocess.run(own, workspace, workers=0)
    assert digests(workspace) == undisturbed


def test_a_second_run_is_refused_and_told_of_the_first(workspace):
    with hold(workspace):
        status, said = shell(f"{PREPROCESS} {workspace.root}")
    assert status == 1
    assert f"{workspace.root} is in use by" in said
    assert f"(process {os.getpid()} on " in said
    assert not workspace.cache.exists()
