import os

from pipelines.corpora.affwild2_layout import find_layout

VA = "6th ABAW Annotations/VA_Estimation_Challenge"


def test_the_layout_does_not_depend_on_the_order_of_listing(touch, monkeypatch):
    root = touch(
        f"{VA}/Train_Set/video1.txt",
        f"{VA}/Validation_Set/video2.txt",
        "batch1/video1.mp4",
        "batch2/video2.avi",
        "cropped_aligned/video1/00003.jpg",
        "cropped_aligned_new_50_vids/video2/00001.jpg",
        "batch2/video1.mp4",
        "new_vids/video1.mp4",
    )
    (root / "linked").symlink_to(root / "new_vids")
    before = find_layout(root)
    scandir = os.scandir

    class Backwards:
        def __init__(self, path):
            with scandir(path) as entries:
                self.entries = sorted(entries, key=lambda entry: entry.name, reverse=True)

        def __enter__(self):
            return iter(self.entries)

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(os, "scandir", Backwards)
    assert find_layout(root) == before
