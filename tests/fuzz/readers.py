"""What reads a damaged file, by family: everything of it that a stage would ask for.

A reader returns, or raises an error of `pipelines.errors` that names the file; `child.py` judges which.
"""

from collections.abc import Callable, Sequence
from pathlib import Path


def read_pictures(path: Path) -> None:
    """Every frame as detectors and crops see it."""
    from pipelines.media.video import read_frames

    for frame in read_frames(path):
        frame.luma()
        frame.rgb()
        if frame.width > 24 and frame.height > 24:
            frame.rgb((2, 2, 22, 22), (8, 8))


def read_header(path: Path) -> None:
    """Size and rate."""
    from pipelines.media.video import probe

    probe(path)


def read_times(path: Path) -> None:
    """Time stamps without pictures."""
    from pipelines.media.time_stamps import frame_times

    frame_times(path)


def read_track(path: Path) -> None:
    """All sound."""
    from pipelines.media.audio import read_sound

    for _ in read_sound(path, 16000):
        pass


def read_track_header(path: Path) -> None:
    """Rate, channels and start of the sound."""
    from pipelines.media.audio import probe_audio

    probe_audio(path)


def read_image(path: Path) -> None:
    """A face crop that a corpus published; one that cannot be read costs its frame only."""
    import numpy as np

    from pipelines.media.published_crops import read_published_crops

    (path.parent / f"00001{path.suffix}").write_bytes(path.read_bytes())
    for crop in read_published_crops(path.parent, np.zeros(1), 32):
        assert crop.image is None or crop.image.shape == (32, 32, 3)


def read_faces(path: Path) -> None:
    """Every crop of a shard."""
    import numpy as np

    from pipelines.cache.faces import FaceShard

    shard = FaceShard(path)
    for clip in shard.clips:
        for frame in np.flatnonzero(shard.frames(clip).valid):
            shard.read(clip, [frame])
    shard.close()


def read_channels(path: Path) -> None:
    """Every view of every clip of a shard."""
    from pipelines.cache.channels import ChannelShard

    shard = ChannelShard(path)
    for clip in shard.clips:
        for channel in ("eda", "ecg"):
            if shard.is_present(clip, channel):
                for view in ("wave", "spectrogram", "features"):
                    shard.read(clip, channel, view)
            shard.feature_names(channel)
            shard.has_features(channel)
    shard.close()


def read_sound_shard(path: Path) -> None:
    """Windows all over a track."""
    from pipelines.cache.audio import AudioShard

    shard = AudioShard(path)
    start_s, stop_s = shard.span or (0.0, 0.0)
    for step in range(4):
        centre_s = start_s + (stop_s - start_s) * step / 4
        if shard.covers(centre_s, 0.5):
            shard.read(centre_s, 0.5)
    if shard.is_present:
        shard.stretch(start_s, stop_s, 40)
    shard.close()


def read_annotation_shard(path: Path) -> None:
    """Every trial of a shard."""
    from pipelines.cache.annotations import read_annotations

    read_annotations(path)


def read_embedding_store(path: Path) -> None:
    """A whole store."""
    from pipelines.cache.embeddings import read_embeddings

    read_embeddings(path)


def read_transport(path: Path) -> None:
    """What a student's transport saw."""
    from pipelines.cache.structure import read_structure

    read_structure(path)


def read_structure(path: Path) -> None:
    """What `mtpkd verify` looks at."""
    from pipelines.cache.contents import contents_of

    layout = path.parent.name
    contents_of(path, layout, {"faces": ("faces",), "biosignals": ("eda", "ecg"), "audio": ("audio",)}.get(layout, ()))


def read_checkpoint(path: Path) -> None:
    """Weights, schema and recipe."""
    from pipelines.training.checkpoints import load_checkpoint

    load_checkpoint(path)
    load_checkpoint(path, weights=False)


def read_weights(path: Path) -> None:
    """Published weights of a user."""
    from torch import nn

    from pipelines.models.encoders.weights import load_weights

    load_weights(nn.Sequential(nn.Linear(8, 4), nn.Linear(4, 2)), path)


def read_array(path: Path) -> None:
    """A `.npy` of one axis."""
    from pipelines.media.npy_file import read_npy

    read_npy(path)


VIDEO = (read_pictures, read_times, read_track, read_track_header, read_header)
SOUND = (read_track, read_track_header)
FAMILIES: dict[str, tuple[str, Sequence[Callable[[Path], None]]]] = {
    "mp4": (".mp4", VIDEO),
    "mov": (".mov", VIDEO),
    "avi": (".avi", VIDEO),
    "avi-mjpeg": (".avi", VIDEO),
    "avi-mpeg4": (".avi", VIDEO),
    "mkv": (".mkv", VIDEO),
    "webm": (".webm", VIDEO),
    "wav": (".wav", SOUND),
    "aiff": (".aiff", SOUND),
    "mp3": (".mp3", SOUND),
    "m4a": (".m4a", SOUND),
    "flac": (".flac", SOUND),
    "jpg": (".jpg", (read_image, read_pictures)),
    "png": (".png", (read_image, read_pictures)),
    "npy": (".npy", (read_array,)),
    "faces": (".h5", (read_faces, read_structure)),
    "faces-raw": (".h5", (read_faces,)),
    "biosignals": (".h5", (read_channels, read_structure)),
    "audio": (".h5", (read_sound_shard, read_structure)),
    "annotations": (".h5", (read_annotation_shard, read_structure)),
    "embeddings": (".h5", (read_embedding_store,)),
    "structure": (".h5", (read_transport,)),
    "checkpoint": (".safetensors", (read_checkpoint,)),
    "safetensors": (".safetensors", (read_weights,)),
    "torch": (".pt", (read_weights,)),
}
"""Family -> suffix of its files, and their readers."""
