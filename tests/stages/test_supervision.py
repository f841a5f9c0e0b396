"""A clip that ends or hangs the process which reads it costs that clip, and nothing else."""

import os
import signal
import time
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pytest

from pipelines.errors import MtpkdError
from pipelines.stages.artifacts import Artifact
from pipelines.stages.execution import run_units
from pipelines.stages.supervision import Supervision
from pipelines.workspace import Fingerprint, read_sidecar, write_text


@dataclass(frozen=True)
class Shard:
    """Clips, some of which are dangerous; `kill`, `hang` and `kill once` happen when they are read."""

    path: Path
    clips: tuple[str, ...]
    skipped: dict[str, str] = field(default_factory=dict)

    def without(self, clip, reason):
        return replace(self, skipped={**self.skipped, clip: reason})


def artifacts_of(shard):
    return [Artifact(shard.path, Fingerprint({"clips": list(shard.clips)}), partial(build, shard), len(shard.clips))]


def build(shard, job):
    read = []
    for clip in shard.clips:
        if clip not in shard.skipped:
            job.start(clip)
            survive(clip, shard.path)
            read.append(clip)
        job.advance(1)
    write_text(job.path, " ".join(read))
    return {"skipped": shard.skipped}


def survive(clip, path):
    marker = path.with_name(f"{path.name}-{clip}-was-here")
    if clip.startswith("hang"):
        time.sleep(60)
    if clip.startswith("kill") and not ("once" in clip and marker.exists()):
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)


def run(shards, tmp_path, *, limit_s=60.0):
    supervision = Supervision(limit_s, Shard.without)
    return run_units("stage", shards, artifacts_of, workers=2, root=tmp_path, supervision=supervision)


def test_a_clip_that_ends_its_process_twice_is_left_out_and_recorded(tmp_path, caplog):
    shards = [Shard(tmp_path / "a", ("one", "kill", "two")), Shard(tmp_path / "b", ("three",))]
    with caplog.at_level("WARNING", "mtpkd"):
        run(shards, tmp_path)
    assert (tmp_path / "a").read_text() == "one two"
    assert (tmp_path / "b").read_text() == "three"
    record = read_sidecar(tmp_path / "a")
    assert record is not None
    assert "ended twice by SIGKILL" in record["details"]["skipped"]["kill"]
    assert caplog.messages[0] == "warning: a worker process was killed at kill: trying it again"
    assert "kill: its reader ended twice" in caplog.messages[1]


def test_one_death_is_an_accident(tmp_path):
    run([Shard(tmp_path / "a", ("one", "kill once"))], tmp_path)
    assert (tmp_path / "a").read_text() == "one kill once"


def test_a_clip_that_takes_too_long_is_left_out_at_once(tmp_path):
    run([Shard(tmp_path / "a", ("one", "hang", "two", "hang too"))], tmp_path, limit_s=1.0)
    assert (tmp_path / "a").read_text() == "one two"
    record = read_sidecar(tmp_path / "a")
    assert record is not None
    reason = "took longer than --clip-timeout 1 s allows"
    assert record["details"]["skipped"] == {"hang": reason, "hang too": reason}


def dies_outside(shard):
    return [Artifact(shard.path, Fingerprint({}), die, 1)]


def die(job):
    os.kill(os.getpid(), signal.SIGKILL)


def hangs_outside(shard):
    return [Artifact(shard.path, Fingerprint({}), hang, 1)]


def hang(job):
    time.sleep(60)


def test_silence_between_clips_is_tried_again_and_then_ends_the_run_in_words(tmp_path, caplog):
    supervision = Supervision(1.0, Shard.without)
    with pytest.raises(MtpkdError, match=r"nothing for 1 s while it made \S+/a, twice: .* --clip-timeout"):
        run_units(
            "stage", [Shard(tmp_path / "a", ())], hangs_outside, workers=1, root=tmp_path, supervision=supervision
        )
    assert [message for message in caplog.messages if "silent for too long at" in message]


@dataclass(frozen=True)
class Recording:
    """Two shards of one recording; whoever reads its clip for the first time dies, in each of them."""

    shards: tuple[Shard, Shard]


def both(recording):
    return [artifact for shard in recording.shards for artifact in artifacts_of(shard)]


def test_deaths_in_two_shards_of_one_recording_are_two_accidents(tmp_path):
    recording = Recording((Shard(tmp_path / "faces", ("kill once",)), Shard(tmp_path / "sound", ("kill once",))))
    supervision = Supervision(60.0, lambda *_: pytest.fail("a clip was left out"))
    run_units("stage", [recording], both, workers=1, root=tmp_path, supervision=supervision)
    assert (tmp_path / "faces").read_text() == (tmp_path / "sound").read_text() == "kill once"


def test_a_death_that_no_clip_explains_ends_the_run_in_words(tmp_path):
    supervision = Supervision(60.0, Shard.without)
    with pytest.raises(MtpkdError, match=r"memory ran out.*--workers 1"):
        run_units("stage", [Shard(tmp_path / "a", ())], dies_outside, workers=1, root=tmp_path, supervision=supervision)
    units = [Shard(tmp_path / name, ()) for name in "ab"]
    with pytest.raises(MtpkdError, match="a worker process ended by SIGKILL while it made"):
        run_units("stage", units, dies_outside, workers=2, root=tmp_path)
