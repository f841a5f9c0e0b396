import tracemalloc
from itertools import pairwise

import h5py
import numpy as np
import pytest

from pipelines.cache import faces
from pipelines.cache.faces import FaceShard, FaceShardWriter
from pipelines.errors import DamagedFile, MtpkdError, UnreadableMedia
from pipelines.media.faces import FaceCrop, decode_jpeg, encode_jpeg

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


@pytest.mark.parametrize("storage", ["raw", "jpeg"])
def test_a_long_clip_is_written_in_pieces_and_taken_back_whole(tmp_path, storage, monkeypatch):
    monkeypatch.setattr(faces, "BUFFER_BYTES", 8_000)
    sizes = []

    def watched(count, seed, fail=False):
        for crop in crops(count, seed):
            sizes.append(writer._data.shape[0])
            yield crop
        if fail:
            raise UnreadableMedia("b.mp4", "stops")

    with FaceShardWriter(tmp_path / "s.h5", size=SIZE, storage=storage) as writer:
        writer.add("a", crops(4, seed=1))
        before = writer._data.shape[0]
        with pytest.raises(UnreadableMedia):
            writer.add("b", watched(60, 2, fail=True))
        assert len(set(sizes)) > 2
        assert writer._data.shape[0] == before
        writer.add("c", crops(60, seed=3))
    shard = FaceShard(tmp_path / "s.h5")
    assert shard.clips == ("a", "c")
    expected = [crop.image for crop in crops(60, seed=3)]
    for number, image in enumerate(shard.read("c", range(60))):
        assert np.abs(image.astype(int) - expected[number]).max() <= 8


def test_no_more_than_a_buffer_of_crops_is_held(tmp_path, monkeypatch):
    monkeypatch.setattr(faces, "BUFFER_BYTES", 100_000)
    image = np.random.default_rng(0).integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)

    def peak(count):
        tracemalloc.start()
        with FaceShardWriter(tmp_path / f"{count}.h5", size=SIZE, storage="jpeg") as writer:
            writer.add("a", (FaceCrop(i, i / 25, (0.0, 0.0, 1.0, 1.0), image) for i in range(count)))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    assert peak(4000) < peak(400) + 4000 * 150  # 2.5 MB against 20 MB that the crops of 4,000 frames take


def test_a_jpeg_that_someone_else_made_is_stored_as_it_is(tmp_path):
    image = next(crops(1, seed=4)).image
    data = encode_jpeg(image, quality=60)
    with FaceShardWriter(tmp_path / "s.h5", size=SIZE, storage="jpeg") as writer:
        frames = writer.add("a", [FaceCrop(0, 0.0, None, None), FaceCrop(1, 0.1, None, image, data)])
    assert frames.valid.tolist() == [False, True]
    with h5py.File(tmp_path / "s.h5") as file:
        assert file["bytes"][()].tobytes() == data
        assert np.isnan(file["boxes"][()]).all()
    np.testing.assert_array_equal(FaceShard(tmp_path / "s.h5").read("a", [1])[0], decode_jpeg(data))
    with FaceShardWriter(tmp_path / "raw.h5", size=SIZE, storage="raw") as writer:
        writer.add("a", [FaceCrop(0, 0.0, None, image, data)])
    np.testing.assert_array_equal(FaceShard(tmp_path / "raw.h5").read("a", [0])[0], image)


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
        file.attrs["kind"] = np.bytes_("other")
    with pytest.raises(MtpkdError, match="holds other format None, expected faces format 2"):
        FaceShard(path)


@pytest.mark.parametrize("storage", ["raw", "jpeg"])
def test_crops_that_lie_across_chunks_are_read_as_the_library_reads_them(tmp_path, storage, monkeypatch):
    monkeypatch.setattr(faces, "_CHUNK_BYTES", 300)  # less than one JPEG
    path = write(tmp_path / "s.h5", storage)
    with h5py.File(path) as file:
        if storage == "raw":
            expected = file["pixels"][()]
        else:
            data, offsets = file["bytes"][()].tobytes(), file["offsets"][()]
            stored = [data[first:stop] for first, stop in pairwise(offsets) if stop > first]
            assert min(map(len, stored)) > 300
            expected = np.stack([decode_jpeg(jpeg) for jpeg in stored])
    shard = FaceShard(path)
    found = np.concatenate([shard.read("a", [0, 1, 3, 4]), shard.read("b", range(4))])
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("storage", ["raw", "jpeg"])
def test_a_closed_shard_reads_nothing(tmp_path, storage):
    shard = FaceShard(write(tmp_path / "s.h5", storage))
    shard.read("a", [0])
    shard.close()
    with pytest.raises(ValueError, match="is closed"):
        shard.read("a", [0])


@pytest.mark.parametrize(("storage", "name", "index"), [("raw", "rows", 1), ("jpeg", "offsets", 2)])
@pytest.mark.parametrize("value", [-1, 10**12])
def test_places_outside_the_stored_crops_are_refused(tmp_path, storage, name, index, value):
    path = write(tmp_path / "s.h5", storage)
    with h5py.File(path, "r+") as file:
        file[name][index] = value
    with pytest.raises(DamagedFile, match="has no crop of its frame 1"):
        FaceShard(path).read("a", [1])
