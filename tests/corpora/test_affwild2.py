import logging
import os
from types import SimpleNamespace

import pytest

from pipelines.corpora import index_corpus, published_hold_out, task_of
from pipelines.corpora.clip import Failure
from pipelines.errors import SettingsError
from pipelines.recipe import AffWild2Corpus, SyntheticAffWild2Corpus

VA = "6th ABAW Annotations/VA_Estimation_Challenge"
COMPLETE = (
    f"{VA}/Train_Set/video1.txt",
    f"{VA}/Validation_Set/video2.txt",
    "batch1/video1.mp4",
    "batch2/video2.avi",
    "cropped_aligned/video1/00003.jpg",
    "cropped_aligned_new_50_vids/video2/00001.jpg",
)


def corpus_of(root, **changes):
    return index_corpus(AffWild2Corpus(root=root, **changes))


def clip_of(root, name):
    return next(clip for clip in corpus_of(root).clips if clip.name == name)


def test_the_task_is_continuous():
    task = task_of(AffWild2Corpus())
    assert (task.kind, task.labels) == ("continuous", ("valence", "arousal"))


def test_a_complete_corpus(touch):
    root = touch(*COMPLETE)
    corpus = corpus_of(root)
    assert (corpus.name, corpus.root, corpus.missing) == ("affwild2", root, ())
    assert corpus.groups == ("video1", "video2")
    first, second = corpus.clips
    assert (first.name, first.group, first.label) == ("video1", "video1", None)
    assert first.attributes == {"set": "train", "side": ""}
    assert first.files == {
        "annotations": root / VA / "Train_Set/video1.txt",
        "video": root / "batch1/video1.mp4",
        "crops": root / "cropped_aligned/video1",
    }
    assert second.attributes == {"set": "validation", "side": ""}
    assert second.files["crops"] == root / "cropped_aligned_new_50_vids/video2"


def test_the_synthetic_corpus_is_read_by_the_same_adapter(touch):
    corpus = index_corpus(SyntheticAffWild2Corpus(root=touch(*COMPLETE)))
    assert (corpus.name, len(corpus.clips)) == ("synthetic-affwild2", 2)


@pytest.mark.parametrize(
    ("annotations", "video", "crops"),
    [
        ("annotations/VA_Set/Train_Set", "videos", "Cropped_Aligned"),
        ("va_estimation_challenge/train_set", "a/b/c/batch1", "images/cropped_aligned/cropped_aligned"),
        ("VA_Estimation_Challenge/VA_Estimation_Challenge/Train_Set/Train_Set", "batch1/batch1", "cropped_aligned"),
        ("VA Estimation Challenge/Training_Set", ".", "batch1/cropped_aligned_images"),
    ],
)
def test_where_the_parts_may_lie(touch, annotations, video, crops):
    root = touch(f"{annotations}/x.txt", f"{video}/x.MP4", f"{crops}/x/1.JPG", "cropped/x/00001.jpg")
    clip = clip_of(root, "x")
    assert clip.files["video"] == root / video / "x.MP4"
    assert clip.files["crops"] == root / crops / "x"


def test_the_root_may_be_the_track_itself(touch):
    root = touch(f"{VA}/Train_Set/x.txt")
    assert clip_of(root / VA, "x").attributes["set"] == "train"


def test_annotations_of_other_tracks_are_left_alone(touch):
    root = touch(*COMPLETE, "6th ABAW Annotations/EXPR_Recognition_Challenge/Train_Set/video9.txt")
    assert [clip.name for clip in corpus_of(root).clips] == ["video1", "video2"]


def test_another_track_inside_of_a_folder_named_like_this_one(touch):
    root = touch("VA_and_more/EXPR_Recognition_Challenge/Train_Set/video9.txt", "VA_and_more/Train_Set/video1.txt")
    assert [clip.name for clip in corpus_of(root).clips] == ["video1"]


def test_hidden_files_are_no_trials(touch):
    junk = ("._video1.txt", ".DS_Store", "notes.md")
    root = touch(*COMPLETE, *(f"{VA}/Train_Set/{name}" for name in junk), f"__MACOSX/{VA}/Train_Set/video7.txt")
    touch("batch1/._video1.mp4", "cropped_aligned/.thumbnails/00001.jpg", root=root)
    corpus = corpus_of(root)
    assert ([clip.name for clip in corpus.clips], corpus.missing) == (["video1", "video2"], ())


def test_two_people_in_one_video_are_one_group(touch):
    trials = [f"{VA}/Train_Set/{name}.txt" for name in ("duo_left", "duo_Right", "duo")]
    root = touch(*trials, "batch1/duo.mp4", "cropped_aligned/duo_left/00001.jpg")
    corpus = corpus_of(root)
    assert corpus.groups == ("duo",)
    assert {clip.name: clip.attributes["side"] for clip in corpus.clips} == {
        "duo": "", "duo_left": "left", "duo_Right": "right",
    }  # fmt: skip
    assert {clip.files["video"] for clip in corpus.clips} == {root / "batch1/duo.mp4"}
    assert ["crops" in clip.files for clip in corpus.clips] == [False, False, True]
    assert corpus.missing == ()


def test_a_video_of_the_trials_very_name_is_its_own(touch):
    clip = clip_of(touch(f"{VA}/Train_Set/turn_left.txt", "batch1/turn_left.mp4", "batch1/turn.mp4"), "turn_left")
    assert (clip.group, clip.attributes["side"]) == ("turn_left", "")
    assert clip.files["video"].name == "turn_left.mp4"


def test_sides_without_their_video_still_share_a_group(touch):
    root = touch(*(f"{VA}/Train_Set/duo_{side}.txt" for side in ("left", "right")), "cropped_aligned/duo_left/1.jpg")
    assert corpus_of(root).groups == ("duo",)


def test_own_crops_ignore_the_published_ones(touch):
    root = touch(*COMPLETE, "cropped_aligned/nobody/00001.jpg")
    (root / "batch1/video1.mp4").unlink()
    corpus = corpus_of(root, crops="own")
    assert all("crops" not in clip.files for clip in corpus.clips)
    assert [(f.clip, f.modality, f.reason) for f in corpus.missing] == [
        ("video1", "faces", "no video to crop"),
        ("video1", "audio", "no video to take sound from"),
    ]


def test_what_is_not_there_is_recorded(touch):
    root = touch(*COMPLETE, f"{VA}/Train_Set/lost.txt", f"{VA}/Train_Set/seen.txt", "cropped_aligned/seen/00001.jpg")
    (root / "cropped_aligned/empty").mkdir()
    touch("batch1/empty.mp4", f"{VA}/Train_Set/empty.txt", root=root)
    corpus = corpus_of(root)
    where = str(root / VA / "Train_Set")
    assert corpus.missing == (
        Failure("lost", "faces", f"{where}/lost.txt", "no video and no cropped images"),
        Failure("lost", "audio", f"{where}/lost.txt", "no video to take sound from"),
        Failure("seen", "audio", f"{where}/seen.txt", "no video to take sound from"),
    )
    assert set(clip_of(root, "empty").files) == {"annotations", "video"}


def test_what_nobody_annotated_is_tolerated(touch):
    root = touch(*COMPLETE, "batch2/tested.mp4", "cropped_aligned/tested/1.jpg", "cropped_aligned/tested_left/1.jpg")
    touch("cropped_aligned/video1_right/00001.jpg", root=root)
    reason = "there is no annotation file for it"
    assert corpus_of(root).missing == (
        Failure("tested", "all", str(root / "batch2/tested.mp4"), reason, tolerated=True),
        Failure("video1_right", "all", str(root / "cropped_aligned/video1_right"), reason, tolerated=True),
    )


def test_a_video_that_is_there_twice(touch):
    root = touch(*COMPLETE, "batch2/video1.avi", "copy/video2.mp4", "batch2/tested.mp4", "copy/tested.mp4")
    (root / "copy/video2.mp4").write_bytes(b"another one")
    corpus = corpus_of(root)
    assert clip_of(root, "video1").files["video"] == root / "batch1/video1.mp4"
    reason = "a second video of this name: the first one is used"
    assert corpus.missing[:2] == (
        Failure("video1", "faces", str(root / "batch2/video1.avi"), reason, tolerated=True),
        Failure("video2", "faces", str(root / "copy/video2.mp4"), reason),
    )
    assert [failure.clip for failure in corpus.missing[2:]] == ["tested"]


def test_crops_that_are_there_twice(touch):
    root = touch(*COMPLETE, "more/cropped_aligned/video1/00001.jpg")
    (failure,) = corpus_of(root).missing
    assert failure.tolerated
    assert failure.file == str(root / "more/cropped_aligned/video1")
    assert clip_of(root, "video1").files["crops"] == root / "cropped_aligned/video1"


def test_a_trial_in_both_sets_is_one_of_the_validation_set(touch):
    root = touch(*COMPLETE, f"{VA}/Validation_Set/video1.txt", "old/VA_Set/Train_Set/video1.txt")
    corpus = corpus_of(root)
    assert clip_of(root, "video1").attributes["set"] == "validation"
    assert [(f.clip, f.modality, f.file, f.tolerated) for f in corpus.missing] == [
        ("video1", "annotations", str(root / VA / "Train_Set/video1.txt"), False),
        ("video1", "annotations", str(root / "old/VA_Set/Train_Set/video1.txt"), False),
    ]


def test_annotations_of_two_releases(touch):
    root = touch(*COMPLETE, "old/VA_Set/Train_Set/video1.txt")
    (same,) = corpus_of(root).missing
    assert (same.file, same.tolerated) == (str(root / "old/VA_Set/Train_Set/video1.txt"), True)
    (root / "old/VA_Set/Train_Set/video1.txt").write_text("valence,arousal\n0,0\n")
    (changed,) = corpus_of(root).missing
    assert not changed.tolerated
    assert clip_of(root, "video1").files["annotations"] == root / VA / "Train_Set/video1.txt"


def test_folders_of_images_are_not_listed_to_their_end(touch, monkeypatch):
    root = touch(*COMPLETE, *(f"cropped_aligned/video1/{i:05d}.jpg" for i in range(300)))
    touch(*(f"cropped/video1/{i:05d}.jpg" for i in range(300)), root=root)
    seen = []
    scandir = os.scandir

    class Counting:
        def __init__(self, path):
            self.path, self.entries = str(path), scandir(path)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.entries.close()

        def __iter__(self):
            for entry in self.entries:
                seen.append(self.path)
                yield entry

    monkeypatch.setattr(os, "scandir", Counting)
    assert len(corpus_of(root).clips) == 2
    assert seen.count(str(root / "cropped_aligned/video1")) == 1
    assert seen.count(str(root / "cropped/video1")) == 100


def test_a_few_pictures_hide_no_videos(touch):
    root = touch(f"{VA}/Train_Set/x.txt", *(f"batch1/cover{i}.jpg" for i in range(20)), "batch1/x.mp4")
    assert clip_of(root, "x").files["video"] == root / "batch1/x.mp4"


def test_linked_folders_are_followed_and_circles_end(touch, tmp_path):
    root = touch(f"{VA}/Train_Set/x.txt")
    elsewhere = touch("x.mp4", root=tmp_path / "elsewhere")
    (root / "batch1").symlink_to(elsewhere)
    (root / "circle").symlink_to(root)
    corpus = corpus_of(root)
    assert clip_of(root, "x").files["video"] == root / "batch1/x.mp4"
    assert corpus.missing == ()


def test_a_link_to_nothing_is_no_video(touch):
    root = touch(f"{VA}/Train_Set/x.txt", "batch1/y.mp4")
    (root / "batch1/x.mp4").symlink_to(root / "not-fetched")
    assert "video" not in clip_of(root, "x").files


def test_the_log_says_what_lies_where(touch, caplog):
    with caplog.at_level(logging.INFO, logger="mtpkd"):
        corpus_of(touch(*COMPLETE))
    assert [record.getMessage() for record in caplog.records] == [
        f"train annotations: 1 file in {VA}/Train_Set",
        f"validation annotations: 1 file in {VA}/Validation_Set",
        "videos: 1 file in batch1, 1 file in batch2",
        "crops: 1 folder in cropped_aligned, 1 folder in cropped_aligned_new_50_vids",
    ]


def test_a_root_without_annotations_says_what_was_looked_for_and_found(touch, tmp_path):
    with pytest.raises(SettingsError, match="nowhere does not exist"):
        corpus_of(tmp_path / "nowhere")
    root = touch("batch1/x.mp4", "EXPR_Recognition_Challenge/Train_Set/x.txt", "cropped_aligned/x/00001.jpg")
    with pytest.raises(SettingsError, match="is not a folder"):
        corpus_of(root / "batch1/x.mp4")
    with pytest.raises(SettingsError) as raised:
        corpus_of(root)
    assert str(raised.value) == (
        f"{root} holds no valence-arousal annotation of Aff-Wild2: looked at any depth for "
        "VA_Estimation_Challenge/{Train_Set,Validation_Set}/<trial>.txt, found videos: 1, folders of crops: 1, at the "
        "top: EXPR_Recognition_Challenge, batch1, cropped_aligned; not directly in a folder VA_...: "
        "EXPR_Recognition_Challenge/Train_Set"
    )


def test_the_official_split_tests_on_videos_with_a_validation_trial():
    rows = [
        SimpleNamespace(group=group, attributes=attributes)
        for group, attributes in (
            ("a", {"set": "train"}),
            ("b", {"set": "validation"}),
            ("duo", {"set": "train", "side": "left"}),
            ("duo", {"set": "validation", "side": "right"}),
            ("c", {}),
        )
    ]
    assert published_hold_out(AffWild2Corpus(), rows) == ("b", "duo")
    assert published_hold_out(AffWild2Corpus()) == ()
