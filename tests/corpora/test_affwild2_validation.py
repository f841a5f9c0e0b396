import pytest

from pipelines.corpora.affwild2_validation import validate_affwild2
from pipelines.corpora.clip import Failure
from pipelines.corpora.validation_report import FileCount, Total
from pipelines.errors import SettingsError
from pipelines.recipe import AffWild2Corpus

VA = "6th ABAW Annotations/VA_Estimation_Challenge"


def report_of(root, **changes):
    return validate_affwild2(AffWild2Corpus(root=root, **changes))


def write_rows(root, trial, number, line="0.1,0.2"):
    (root / VA / f"{trial}.txt").write_text("\n".join(["valence,arousal", *[line] * number]) + "\n")


def told(failures):
    """(clip, modality, reason) of each."""
    return [(failure.clip, failure.modality, failure.reason) for failure in failures]


def test_what_a_sound_corpus_holds(written_affwild2):
    report = report_of(written_affwild2)
    assert report.problems == ()
    assert report.totals == (
        Total("trials", 5, "train 4, validation 1"),
        Total("videos", 4, "train 3, validation 1; 1 with two people"),
        Total("frames", 197, "187 annotated, 5.1 % are -5"),
        Total("images", 76, "for 95.0 % of the rows of their trials"),
    )
    assert report.layout[0] == ("train annotations", f"4 files in {VA}/Train_Set")
    assert report.files == {
        "annotations": FileCount(there=5),
        "video": FileCount(there=4, seen={"format": {"mp4": 3, "avi": 1}, "pixels": {"64x32": 4}, "Hz": {"30": 4}}),
        "audio": FileCount(there=3, missing=1, seen={"Hz": {"16000": 3}, "sound": {"mono": 3}}),
        "crops": FileCount(there=2, missing=3),
    }


def test_what_is_in_the_nature_of_the_corpus_is_noted(written_affwild2):
    root = written_affwild2
    assert report_of(root).noted == (
        Failure(
            "tested", "all", str(root / "new_vids/tested.mp4"), "there is no annotation file for it", tolerated=True
        ),
        Failure("silent", "audio", str(root / "new_vids/silent.mp4"), "there is no sound track", tolerated=True),
        Failure(
            "pair_left",
            "annotations",
            f"{root / VA}/Train_Set/pair_left.txt: 37 rows, 40 frames",
            "rows and frames of the video differ by up to 3",
            tolerated=True,
        ),
        Failure(
            "alone",
            "crops",
            f"{root}/cropped_aligned/alone: 2 images, 40 rows",
            "up to 2 images have no row",
            tolerated=True,
        ),
        Failure(
            "alone",
            "crops",
            f"{root}/cropped_aligned/alone: 4 of 40 rows",
            "rows without an image, up to 4 in a trial, 4 in all",
            tolerated=True,
        ),
        Failure(
            "late",
            "audio",
            f"{root}/batch2/late.mp4: sound +0.25 s after the pictures",
            "sound and pictures start up to 0.25 s apart",
            tolerated=True,
        ),
    )


def test_published_crops_that_are_not_used_are_not_looked_at(written_affwild2):
    report = report_of(written_affwild2, crops="own")
    assert list(report.files) == ["annotations", "video", "audio"]
    assert [total.name for total in report.totals] == ["trials", "videos", "frames"]
    assert not [failure for failure in report.noted if failure.modality == "crops"]


def test_rows_far_from_the_frames_are_a_problem_the_largest_first(affwild2):
    write_rows(affwild2, "Train_Set/pair_left", 71)
    write_rows(affwild2, "Train_Set/pair_right", 3000)
    write_rows(affwild2, "Validation_Set/late", 70)
    report = report_of(affwild2)
    reason = "rows and frames of the video differ by up to 2,960, more than 2 % and 30 frames"
    assert told(report.problems) == [("pair_right", "annotations", reason), ("pair_left", "annotations", reason)]
    assert report.problems[0].file.endswith("pair_right.txt: 3,000 rows, 40 frames")
    assert ("late", "annotations", "rows and frames of the video differ by up to 30") in told(report.noted)


def test_two_percent_of_a_long_trial_are_few(affwild2):
    write_rows(affwild2, "Train_Set/alone", 2000)
    for number in range(2000, 2040):
        (affwild2 / "cropped_aligned/alone" / f"{number}.jpg").touch()
    report = report_of(affwild2)
    assert ("alone", "crops", "up to 39 images have no row") in told(report.noted)
    assert [reason for _, modality, reason in told(report.problems) if modality == "crops"] == []
    (affwild2 / "cropped_aligned/alone/2040.jpg").touch()
    (affwild2 / "cropped_aligned/alone/00000.png").touch()
    assert [reason for _, modality, reason in told(report_of(affwild2).problems) if modality == "crops"] == [
        "up to 41 images have no row, more than 2 % and 30 frames"
    ]


def test_images_none_of_which_belongs_to_a_row(affwild2):
    folder = affwild2 / "cropped_aligned/alone"
    for path in sorted(folder.iterdir()):
        path.rename(folder / f"face_{path.name}")
    report = report_of(affwild2)
    assert told(report.problems) == [("alone", "crops", "no image has the number of a row")]
    assert report.total("images") == Total("images", 40, "for 50.0 % of the rows of their trials")


def test_annotations_are_reported_by_file_and_line(affwild2):
    train = affwild2 / VA / "Train_Set"
    lines = (train / "alone.txt").read_text().splitlines()
    lines[7], lines[9] = "1.7,0", "x,0"
    (train / "alone.txt").write_text("\n".join(lines))
    (train / "pair_left.txt").write_text("0.1,0.2\n")
    write_rows(affwild2, "Train_Set/pair_right", 40, line="-5,-5")
    report = report_of(affwild2)
    reason = "lines that cannot be used; their frames are left out"
    assert [(f.clip, f.file, f.reason) for f in report.problems] == [
        ("alone", f"{train}/alone.txt:8: valence 1.7 is outside [-1, 1] and not -5", reason),
        ("alone", f"{train}/alone.txt:10: valence 'x' is not a number", reason),
        ("pair_left", f"{train}/pair_left.txt", "line 1 is '0.1,0.2', the header 'valence,arousal' was expected"),
        ("pair_right", f"{train}/pair_right.txt", "no frame is annotated"),
    ]
    assert report.files["annotations"] == FileCount(there=5, unreadable=1)
    assert report.total("frames") == Total("frames", 160, "118 annotated, 25.0 % are -5")


def test_videos_that_are_missing_or_unreadable(affwild2):
    (affwild2 / "batch1/alone.mp4").unlink()
    (affwild2 / "batch2/late.mp4").write_bytes(b"no video")
    report = report_of(affwild2)
    assert [(clip, modality) for clip, modality, _ in told(report.problems)] == [("alone", "audio"), ("late", "faces")]
    video, audio = report.files["video"], report.files["audio"]
    assert (video.there, video.missing, video.unreadable) == (3, 1, 1)
    assert (audio.there, audio.missing, audio.unreadable) == (1, 2, 0)


def test_a_video_is_opened_once_for_both_of_its_trials(affwild2):
    (affwild2 / "batch2/pair.avi").write_bytes(b"")
    assert told(report_of(affwild2).problems) == [("pair", "faces", "the file is empty (0 bytes)")]


def test_a_video_with_trials_in_both_sets(affwild2):
    sets = affwild2 / VA
    (sets / "Train_Set/pair_left.txt").rename(sets / "Validation_Set/pair_left.txt")
    report = report_of(affwild2)
    (problem,) = report.problems
    assert (problem.clip, problem.reason) == ("pair", "trials of one video are in both sets")
    assert problem.file == f"{sets}/Validation_Set/pair_left.txt and {sets}/Train_Set/pair_right.txt"
    assert report.total("videos").parts == "train 3, validation 2; 1 with two people"


def test_a_container_that_counts_no_frames(affwild2):
    import av

    source = affwild2 / "batch1/alone.mp4"
    with av.open(str(source)) as read, av.open(str(source.with_suffix(".mkv")), "w") as written:
        stream = written.add_stream_from_template(read.streams.video[0])
        for packet in read.demux(read.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                written.mux(packet)
    source.unlink()
    report = report_of(affwild2)
    assert ("alone", "faces", "the container does not say how many frames there are") in told(report.noted)
    assert report.problems == ()


def test_no_corpus(tmp_path):
    with pytest.raises(SettingsError, match="does not exist"):
        report_of(tmp_path / "nowhere")
