"""Numbers of the overview, from tables written by hand and from a workspace of each kind."""

import numpy as np
import pytest

from pipelines.cache.annotations import Annotation, write_annotations
from pipelines.cache.tables import ClipRow, write_clips
from pipelines.corpora import Failure
from pipelines.errors import MissingArtifact
from pipelines.recipe.loading import load_recipe
from pipelines.reporting.overview import Coverage, FailureKind
from pipelines.stages.inspection import group_failures, overview
from pipelines.workspace import Workspace, write_csv

HEADER = ("clip", "modality", "file", "reason")


def row(clip, group, label, **coverage):
    name = "" if label is None else ("BL1", "PA4")[label]
    return ClipRow(clip=clip, group=group, label=label, label_name=name, coverage=coverage)


@pytest.fixture
def by_hand(tmp_path):
    """Five clips of three groups: one clip without a face, one half seen, one without a label; no EMG yet."""
    workspace = Workspace(tmp_path)
    rows = [
        row("a1", "a", 0, faces=1.0, eda=1.0, ecg=1.0),
        row("a2", "a", 1, faces=0.5, eda=1.0, ecg=0.0),
        row("b1", "b", 0, faces=0.0, eda=1.0, ecg=1.0),
        row("b2", "b", 1, faces=1.0, eda=1.0, ecg=1.0),
        row("c1", "c", None, faces=1.0, eda=1.0, ecg=1.0),
    ]
    write_clips(workspace.clips, rows)
    failures = [
        ("a2", "ecg", "/data/a2_bio.csv", "flat line at 3.0"),
        ("b1", "faces", "/data/b1.mp4", "a face in only 3 of its 138 frames, less than faces.min_coverage = 0.2"),
    ]
    write_csv(workspace.failures, HEADER, failures)
    return workspace


def test_the_counts_are_those_of_the_tables(by_hand):
    found = overview(load_recipe("biovid"), by_hand)
    assert (found.clips, found.groups, found.unlabelled) == (5, 3, 1)
    assert found.coverage == {
        "faces": Coverage(whole=3, partly=1, missing=1, share=pytest.approx(0.7)),
        "eda": Coverage(whole=5, partly=0, missing=0, share=1.0),
        "ecg": Coverage(whole=4, partly=0, missing=1, share=pytest.approx(0.8)),
    }
    assert found.absent == ("emg",)
    assert found.distributions == ()
    assert {kind.modality: kind.number for kind in found.failures} == {"ecg": 1, "faces": 1}


def test_classes_and_groups_have_their_own_shares(by_hand):
    found = overview(load_recipe("biovid"), by_hand)
    classes = {one.name: (one.clips, one.shares["faces"], one.shares["ecg"]) for one in found.classes}
    assert classes == {"BL1": (2, 0.5, 1.0), "PA4": (2, 0.75, 0.5), "no label": (1, 1.0, 1.0)}
    assert list(classes) == ["BL1", "PA4", "no label"]
    # Of the two groups that lack something a lacks a quarter and a half, b a half; c is complete.
    assert [(one.name, one.clips, one.shares["faces"]) for one in found.least] == [("a", 2, 0.75), ("b", 2, 0.5)]


def test_before_preprocessing_the_command_is_named(tmp_path):
    with pytest.raises(MissingArtifact, match=r"clips.csv is missing: run `mtpkd preprocess biovid"):
        overview(load_recipe("biovid"), Workspace(tmp_path))


def test_reasons_that_differ_in_numbers_count_together():
    reasons = [f"a face in only {n} of its 138 frames, less than faces.min_coverage = 0.2" for n in (5, 3, 17)]
    failures = [Failure("a", "ecg", "first.csv", "flat line at 3.0")]
    failures += [Failure(f"c{n}", "faces", f"{n}.mp4", reason) for n, reason in enumerate(reasons)]
    faces, ecg = group_failures(failures, {})
    reason = "a face in only 3..17 of its 138 frames, less than faces.min_coverage = 0.2"
    assert faces == FailureKind("faces", reason, 3, "0.mp4")
    assert ecg == FailureKind("ecg", "flat line at 3.0", 1, "first.csv")


@pytest.mark.parametrize(
    ("reasons", "told"),
    [
        (["598 rows, but 601 frames in /v/1.mp4", "9 rows, but 8 frames in data/2.mp4"],
         "9..598 rows, but 8..601 frames in …"),
        (["clip s1-BL1-001 is twice", "clip s2-PA4-007 is twice"], "clip … is twice"),
        (["5 features, where other clips of g1 have 2", "5 features, where other clips of g2 have 3"],
         "5 features, where other clips of … have 2..3"),
        (["1,024 bytes", "-3.5e-07 bytes", "12 bytes"], "-3.5e-07..1,024 bytes"),
        (["line 7: 'x1' is no number"], "line 7: 'x1' is no number"),
    ],
)  # fmt: skip
def test_names_paths_and_numbers_do_not_part_what_is_the_same(reasons, told):
    clips = ["s1-BL1-001", "s2-PA4-007", "s3"]
    failures = [Failure(clip, "eda", "f", reason) for clip, reason in zip(clips, reasons, strict=False)]
    (kind,) = group_failures(failures, {"s1-BL1-001": "g1", "s2-PA4-007": "g2"})
    assert (kind.reason, kind.number) == (told, len(reasons))


def test_one_reason_of_two_modalities_is_two_kinds():
    failures = [Failure("a", modality, "f", "file does not exist") for modality in ("faces", "eda", "eda")]
    assert [(kind.modality, kind.number) for kind in group_failures(failures, {})] == [("eda", 2), ("faces", 1)]


def test_of_annotations_the_distribution_is_that_of_annotated_frames(tmp_path):
    workspace = Workspace(tmp_path)
    rows = [
        ClipRow("t", "v", None, "", {"frames": "101", "annotated": "100"}, {"faces": 1.0, "audio": 1.0}),
        ClipRow("u", "w", None, "", {"frames": "3", "annotated": "0"}, {"faces": 1.0, "audio": 1.0}),
    ]
    write_clips(workspace.clips, rows)
    write_csv(workspace.failures, HEADER, [])
    values = np.full((101, 2), np.nan)
    values[:100] = np.linspace(-1, 1, 100)[:, None] * [1, 0.5]
    values[100, 0] = 0.9  # only one of the two dimensions is known
    write_annotations_of(workspace, "v", "t", values)
    write_annotations_of(workspace, "w", "u", np.full((3, 2), np.nan))
    found = overview(load_recipe("affwild2"), workspace)
    valence, arousal = found.distributions
    assert (valence.dimension, valence.number, found.unit, found.unlabelled) == ("valence", 100, "frames", 1)
    assert valence.quantiles == pytest.approx((-0.9, -0.5, 0, 0.5, 0.9), abs=0.01)
    assert arousal.deviation == pytest.approx(valence.deviation / 2)
    assert found.classes == ()


def write_annotations_of(workspace, group, clip, values):
    path = workspace.shard("annotations", group)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_annotations(path, {clip: Annotation(values, np.arange(len(values)) / 30)})


def test_no_annotated_frame_at_all_is_told_and_no_error(tmp_path):
    workspace = Workspace(tmp_path)
    write_clips(workspace.clips, [ClipRow("u", "w", None, "", {"annotated": "0"}, {"faces": 1.0})])
    write_csv(workspace.failures, HEADER, [])
    write_annotations_of(workspace, "w", "u", np.full((3, 2), np.nan))
    found = overview(load_recipe("affwild2"), workspace)
    assert [one.number for one in found.distributions] == [0, 0]
    assert np.isnan(found.distributions[0].mean)
