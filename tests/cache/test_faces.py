import h5py
import numpy as np
import pytest

from pipelines.cache.faces import FaceShard, FaceShardWriter
from pipelines.errors import MtpkdError, UnreadableMedia
from pipelines.media.faces import FaceCrop

SIZE = 48


def crops(count, seed, missing=()):
    """Smooth coloured images, so that JPEG stays close to them; None where a face is missing."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0, 1, SIZE)
    for index in range(count):
        colour = rng.uniform(40, 200, 3)
        image = (ramp[:, None, None] * 50 + colour).astype(np.uint8) * np.ones((SIZE, SIZE, 1), np.uint8)
        there = index not in missing
        yield FaceCrop(
            index=index,
            time_s=index / 25,
            box=(1.0, 2.0, 3.0, 4.0) if there else None,
            image=np.ascontiguousarray(image) if there else None,
        )


def write(path, storage):
    with FaceShardWriter(path, size=SIZE, storage=storage) as writer:
        writer.add("a", crops(5, seed=1, missing={2}))
        writer.add("b", crops(4, seed=2))
    return path


@pytest.mark.parametrize(("storage", "tolerance"), [("raw", 0), ("jpeg", 8)])
def test_windows_of_any_clip_come_back(tmp_path, storage, tolerance):
    shard = FaceShard(write(tmp_path / "s.h5", storage))
    assert shard.clips == ("a", "b")
    expected = [crop.image for crop in crops(4, seed=2)]
    read = shard.read("b", [3, 0, 0])
    for image, truth in zip(read, (expected[3], expected[0], expected[0]), strict=True):
        assert np.abs(image.astype(int) - truth).max() <= tolerance
    last = [crop.image for crop in crops(5, seed=1, missing={2})][4]
    assert np.abs(shard.read("a", [4])[0].astype(int) - last).max() <= tolerance


@pytest.mark.parametrize("storage", ["raw", "jpeg"])
def test_a_frame_without_a_face_is_masked_and_cannot_be_read(tmp_path, storage):
    shard = FaceShard(write(tmp_path / "s.h5", storage))
    frames = shard.frames("a")
    assert frames.valid.tolist() == [True, True, False, True, True]
    assert frames.coverage == pytest.approx(0.8)
    assert frames.times == pytest.approx([0, 0.04, 0.08, 0.12, 0.16])
    for frame in (2, 5, -1):
        with pytest.raises(IndexError, match="outside the clip or shows no face"):
            shard.read("a", [frame])


@pytest.mark.parametrize("storage", ["raw", "jpeg"])
def test_equal_content_gives_equal_bytes(tmp_path, storage):
    first, second = write(tmp_path / "1.h5", storage), write(tmp_path / "2.h5", storage)
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("storage", ["raw", "jpeg"])
def test_a_clip_that_breaks_half_way_takes_nothing_with_it(tmp_path, storage):
    def broken():
        yield from crops(3, seed=3)
        raise UnreadableMedia("b.mp4", "stops at frame 3")

    with FaceShardWriter(tmp_path / "s.h5", size=SIZE, storage=storage) as writer:
        writer.add("a", crops(2, seed=1))
        with pytest.raises(UnreadableMedia):
            writer.add("b", broken())
        writer.add("c", crops(2, seed=2))
    shard = FaceShard(tmp_path / "s.h5")
    assert shard.clips == ("a", "c")
    truth = next(crops(1, seed=2)).image
    assert np.abs(shard.read("c", [0])[0].astype(int) - truth).max() <= 8


def test_packed_jpegs_are_a_small_part_of_the_pixels(tmp_path):
    write(tmp_path / "s.h5", "jpeg")
    with h5py.File(tmp_path / "s.h5") as file:
        assert 0 < file["bytes"].shape[0] < 0.3 * 8 * SIZE * SIZE * 3


def test_a_shard_without_clips_is_whole(tmp_path):
    with FaceShardWriter(tmp_path / "s.h5", size=SIZE, storage="jpeg"):
        pass
    assert FaceShard(tmp_path / "s.h5").clips == ()


def test_damaged_and_foreign_files_are_refused_by_name(tmp_path):
    path = write(tmp_path / "s.h5", "jpeg")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MtpkdError, match=r"s\.h5 is damaged"):
        FaceShard(path)
    with pytest.raises(MtpkdError, match=r"absent\.h5 is missing"):
        FaceShard(tmp_path / "absent.h5")
    with h5py.File(path, "w") as file:
        file.attrs["kind"] = "other"
    with pytest.raises(MtpkdError, match="holds other format None, expected faces format 1"):
        FaceShard(path)
