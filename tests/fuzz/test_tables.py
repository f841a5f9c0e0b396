"""Damaged text: the tables of corpora and of a workspace, with whatever a script or a disk makes of them.

Every content gives a result, or an error of `pipelines.errors` that names the file.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipelines.cache.out_of_fold import read_out_of_fold
from pipelines.cache.predictions import holds_frames, read_frame_predictions, read_predictions
from pipelines.cache.tables import read_clips, read_failures
from pipelines.corpora.affwild2_annotations import read_annotations
from pipelines.corpora.biovid import index_biovid
from pipelines.corpora.manifest import index_manifest
from pipelines.corpora.rendering import render_once
from pipelines.errors import MtpkdError
from pipelines.media.biosignal_csv import read_biosignals
from pipelines.media.csv_table import open_table
from pipelines.media.feature_table import read_feature_index, read_feature_table
from pipelines.media.signal_file import read_signal
from pipelines.recipe import (
    BiosignalSettings,
    BioVidCorpus,
    FeatureTable,
    ManifestCorpus,
    SignalFiles,
    Task,
    VideoFiles,
)
from pipelines.reporting.results import read_rows
from pipelines.reporting.training_record import read_training_record
from pipelines.workspace import Fingerprint, Workspace, identify, read_sidecar, stale_reason

CLASSES = Task(kind="classes", labels=("rest", "pain"), ordinal=True)
DIMENSIONS = Task(kind="continuous", labels=("valence", "arousal"))
NASTY = [
    "", ",", "\t", ";", "\n", "\r", "\r\n", '"', "'", "\\", "\0", "\x1a", "\ufeff", " ", "nan", "NaN", "-inf", "1e999",
    "1" * 400, "-5", "1_0", "0x10", "1,5", "\u0661", "\u2028", "\ud7ff", "../../../etc/passwd", "/etc/passwd", ".",
    "..", "a" * 300, "a\0b", "{", "[", "]", "}", "null", "true", "1e308", "-0", "99999999999999999999", "=1+1", "é",
]  # fmt: skip


def damaged(valid: str) -> st.SearchStrategy[bytes]:
    """The content with some stretches replaced, or bytes that never were a table."""
    payload = st.one_of(st.sampled_from([token.encode() for token in NASTY]), st.binary(max_size=12))
    length = len(valid.encode())
    edit = st.tuples(st.integers(0, length), st.sampled_from((0, 0, 1, 2, 8, 40, length)), payload)

    def apply(edits: list[tuple[int, int, bytes]]) -> bytes:
        content = valid.encode()
        for at, cut, new in edits:
            content = content[:at] + new + content[at + cut :]
        return content

    return st.one_of(st.lists(edit, min_size=1, max_size=4).map(apply), st.binary(max_size=200))


def check(path: Path, content: bytes, read) -> None:
    """Write a content, and read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    message = str(path.parent)
    try:
        read(path)
    except MtpkdError as error:
        message = str(error)
    assert str(path.parent) in message


def manifest(root: Path) -> ManifestCorpus:
    modalities = {
        "faces": VideoFiles(column="video"),
        "eda": SignalFiles(column="eda", rate=10, seconds=2),
        "heart": FeatureTable(table=Path("heart.csv")),
    }
    (root / "heart.csv").write_text("clip,hr\na,1\nb,2\n")
    return ManifestCorpus(
        root=root, classes=("rest", "stress"), attributes=("sex",), split="set", modalities=modalities
    )


def index_samples(table: Path) -> None:
    root = table.parents[1]
    (root / "video").mkdir(exist_ok=True)
    for clip in index_biovid(BioVidCorpus(root=root)).clips:
        assert clip.name.replace("_", "").replace("-", "").isalnum()


def consume_frames(path: Path) -> None:
    holds_frames(path)
    for _ in read_frame_predictions(path, DIMENSIONS):
        pass


def consume_clips(path: Path) -> None:
    holds_frames(path)
    read_predictions(path, CLASSES)


def look_at_sidecar(path: Path) -> None:
    artifact = path.with_suffix("")
    artifact.write_bytes(b"1")
    record = read_sidecar(artifact)
    identify(artifact)
    reason = stale_reason(artifact, Fingerprint({"faces": {"size": 1}}, {"x": artifact}, seed=0))
    assert record is not None or reason


def read_histories(path: Path) -> None:
    read_training_record({"kd": [path]}, aligned=[path], hallucination=[path])


def read_results(path: Path) -> None:
    read_rows(Workspace(path.parent), "accuracy")


def render(path: Path) -> None:
    render_once(path.parent, {"seed": 0}, lambda: None)


SAMPLE = "071309_w_21"
SAMPLES = (
    "subject_id\tsubject_name\tclass_id\tclass_name\tsample_id\tsample_name\n"
    + f"1\t{SAMPLE}\t0\tBL1\t1\t{SAMPLE}-BL1-081\n1\t{SAMPLE}\t4\tPA4\t2\t{SAMPLE}-PA4-001\n"
)
BIO = "time\tgsr\tecg\temg_trapezius\temg_corrugator\temg_zygomaticus\n" + "".join(
    f"{i * 1953.125:g}\t1.5\t{i}\t0\t0.1\tnan\n" for i in range(12)
)
MANIFEST = "clip,group,label,video,eda,sex,set\na,s1,rest,a.mp4,,w,train\nb,s2,stress,,b/eda.csv,m,test\n"
CLIPS = "clip,group,label,class,label_valence,label_arousal,sex,coverage_faces\na,s1,0,rest,0.5,-0.5,w,1.0000\n"
FAILURES = "clip,modality,file,reason\na,faces,/x/a.mp4,truncated: ends after 3 of 9\n"
PREDICTIONS = "clip,group,target,score_rest,score_pain\na,s1,0,0.25,0.75\nb,s2,1,0.5,0.5\n"
FRAMES = (
    "clip,group,frame,target_valence,target_arousal,score_valence,score_arousal\n"
    + "a,s1,1,0.5,0.5,0.25,0.5\na,s1,2,,,0.5,0.5\nb,s1,1,0.5,0.5,0.25,0.5\n"
)
OUT_OF_FOLD = "clip,joint,faces,joint output 0,faces output 0\na,0.5,0.25,1,2\nb,,,1,\n"
HISTORY = "epoch,loss,chosen/joint,chosen/faces,diagonal_mass\n1,0.5,0.5,0.5,0.25\n2,0.25,0.75,0.25,\n"
IDENTITY = {"sha256": "0", "size": 1, "mtime_ns": 1}
SIDECAR = json.dumps(
    {
        "artifact": IDENTITY, "checksum": "x", "details": {"coverage": {}, "failures": []}, "inputs": {"x": IDENTITY},
        "recipe": {"faces": {"size": 1}}, "seed": 0, "version": "1",
    }
)  # fmt: skip
ROW = {"method": "kd", "role": "student", "clips": 2, "groups": 1, "value": 0.5, "low": None, "high": 1.0}
ROW |= {"difference": 0.1, "difference_low": 0.0, "difference_high": 0.2, "frames": None, "verdict": ""}
RESULTS = json.dumps({"metrics": {"accuracy": [ROW]}, "version": "1"})

TABLES = {
    "samples.csv": (SAMPLES, "PartA/starting_point/samples.csv", index_samples),
    "bio.csv": (BIO, "x_bio.csv", lambda path: read_biosignals(path, BiosignalSettings())),
    "annotations": ("valence,arousal\n0.1,0.2\n-5,-5\n-1,1\n", "trial.txt", read_annotations),
    "manifest": (MANIFEST, "manifest.csv", lambda path: index_manifest(manifest(path.parent))),
    "csv": (MANIFEST, "table.csv", lambda path: list(open_table(path).full_rows())),
    "signal": ("time;eda\n0;1.5\n1;\n2;nan\n", "signal.csv", lambda path: read_signal(path, "eda")),
    "column": ("eda\n1.5\n\n2\n", "column.csv", lambda path: read_signal(path, None)),
    "features": ("clip\thr\tsd\na\t60\t1\nb\t\tnan\n", "f.csv", lambda path: read_feature_table(path, None, None)),
    "feature index": ("id,hr,sd\na,60,1\n", "f.csv", lambda path: read_feature_index(path, "id", ["hr"])),
    "clips.csv": (CLIPS, "clips.csv", read_clips),
    "failures.csv": (FAILURES, "failures.csv", read_failures),
    "predictions": (PREDICTIONS, "kd.csv", consume_clips),
    "frame predictions": (FRAMES, "kd.csv", consume_frames),
    "out of fold": (OUT_OF_FOLD, "o.csv", lambda path: read_out_of_fold([path], ["a", "b"], ["joint", "faces"], 1)),
    "history": (HISTORY, "history.csv", read_histories),
    "sidecar": (SIDECAR, "artifact.h5.json", look_at_sidecar),
    "results": (RESULTS, "results.json", read_results),
    "rendering": ('{"seed": 0, "complete": true}', "corpus/synthetic.json", render),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_damaged_text_is_read_or_refused_by_name(tmp_path, name):
    valid, place, read = TABLES[name]
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(valid)
    read(path)

    @given(damaged(valid))
    @example(b"")
    @example(valid.encode("utf-16"))
    @example(b"\xff\xfe" + valid.encode())
    @example(valid.replace("\n", "\r").encode())
    @example(valid.encode() + b"\0" * 50)
    @example(b"[" * 100_000)
    @example(b'"' + valid.encode())
    @example(valid.encode()[:-3] + b"\xc3")
    @example((valid.splitlines()[0] + "\n" + "x" * 200_000).encode())
    @example(b"," * 200_000 + b"\n1")
    def read_damaged(content):
        check(path, content, read)

    read_damaged()


PLAIN = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
KEYS = [*IDENTITY, "artifact", "metrics", "accuracy", "inputs", "recipe", "seed", "version", "details", *ROW]
SHAPES = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner), max_leaves=8
)


@given(st.sampled_from(["sidecar", "results", "rendering"]), st.sampled_from(["", *KEYS]), SHAPES)
@example("results", "metrics", [None])
def test_json_of_another_shape(tmp_path_factory, name, key, value):
    folder = tmp_path_factory.getbasetemp() / "shapes"
    valid, place, read = TABLES[name]
    changed = json.loads(valid) | {key: value} if key else value
    check(folder / place, json.dumps(changed).encode(), read)


def test_a_line_of_a_hundred_megabytes_and_a_million_columns(tmp_path):
    wide = b"clip," + b",".join(b"c%d" % i for i in range(1_000_000)) + b"\na" + b",1" * 1_000_000 + b"\n"
    long = b"time\teda\n" + b"1" * 100_000_000
    for content in (wide, long):
        for name in ("bio.csv", "annotations", "csv", "signal", "features", "samples.csv", "clips.csv"):
            _, place, read = TABLES[name]
            check(tmp_path / place, content, read)


def test_what_was_read_is_what_stands_there(tmp_path):
    """The harness itself: intact tables are no errors."""
    for name, (valid, place, read) in TABLES.items():
        path = tmp_path / name.replace(" ", "-") / place
        path.parent.mkdir(parents=True)
        path.write_text(valid)
        read(path)
    assert np.isnan(read_signal(tmp_path / "signal/signal.csv", "eda")[1])
