"""From raw files to what is cached, and from the cache to what a model sees."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipelines.recipe.base import Settings

BIOSIGNALS = ("eda", "ecg", "emg")


class FaceSettings(Settings):
    """From a video to square face crops."""

    detector: Literal["haar", "face-alignment"] = "haar"
    """`haar` is bundled with OpenCV; `face-alignment` needs its published weights and aligns by landmarks."""
    size: Annotated[int, Field(ge=32, le=512)] = 112
    """Side of a crop in pixels."""
    margin: Annotated[float, Field(ge=0.0, le=1.0)] = 0.2
    """Share of the face box added on every side before cropping; `haar` only, face-alignment has a template."""
    storage: Literal["jpeg", "raw"] = "jpeg"
    """`jpeg` packs crops at quality 95; `raw` keeps uint8 pixels, faster and seven times larger."""
    min_coverage: Annotated[float, Field(ge=0.0, le=1.0)] = 0.2
    """A clip with a face in fewer than this share of its frames counts as one without a face."""


class BiosignalSettings(Settings):
    """From a `_bio.csv` to waves, log-spectrograms and features."""

    emg_channel: Literal["emg_trapezius", "emg_corrugator", "emg_zygomaticus"] = "emg_trapezius"
    """Column read as EMG; in Part A only the trapezius is meaningful."""
    rate: Annotated[float, Field(gt=0)] = 512.0
    """Expected sampling rate in Hz; a file whose time column says otherwise is a recorded failure."""
    rate_tolerance: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.02
    """Relative difference from `rate` that is still accepted."""
    seconds: Annotated[float, Field(gt=0)] = 5.5
    """Length that every wave is cut, or padded and masked, to."""
    max_missing: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.2
    """A channel with more than this share of NaN counts as missing; shorter gaps are interpolated and masked."""
    eda_band: tuple[float | None, float | None] = (None, 4.0)
    """High-pass and low-pass in Hz, None for open."""
    ecg_band: tuple[float | None, float | None] = (0.1, 250.0)
    """High-pass and low-pass in Hz; a linear trend is removed first."""
    emg_band: tuple[float | None, float | None] = (20.0, 250.0)
    """High-pass and low-pass in Hz."""
    eda_rate: Annotated[float, Field(gt=0)] = 32.0
    """Rate in Hz that the filtered EDA is resampled to."""
    ecg_rate: Annotated[float, Field(gt=0)] = 256.0
    """Rate in Hz that the filtered ECG is resampled to."""
    emg_rate: Annotated[float, Field(gt=0)] = 512.0
    """Rate in Hz that the filtered EMG is resampled to; its band reaches up to 250 Hz."""
    normalisation: Literal["training", "per-subject"] = "training"
    """`training`: statistics of training subjects; `per-subject`: of each subject's own clips (transductive)."""

    @model_validator(mode="after")
    def _bands(self) -> "BiosignalSettings":
        for name in BIOSIGNALS:
            low, high = band = getattr(self, f"{name}_band")
            if any(edge is not None and edge <= 0 for edge in band):
                raise ValueError(f"biosignals.{name}_band = {band}: cut-offs are positive, or null for none")
            if low is not None and high is not None and low >= high:
                raise ValueError(f"biosignals.{name}_band = {band}: the high-pass must lie below the low-pass")
        return self


class AudioSettings(Settings):
    """From a sound track to log-mel spectrograms."""

    rate: Annotated[int, Field(ge=8000, le=96000)] = 16000
    """Rate in Hz that a track is resampled to, after mixing its channels to one."""
    window_seconds: Annotated[float, Field(gt=0, le=1)] = 0.025
    """Length of an analysis window."""
    hop_seconds: Annotated[float, Field(gt=0, le=1)] = 0.010
    """From one analysis window to the next."""
    mels: Annotated[int, Field(ge=8, le=256)] = 64
    """Mel bands."""
    low: Annotated[float, Field(ge=0)] = 125.0
    """Lowest frequency in Hz."""
    high: Annotated[float, Field(gt=0)] = 7500.0
    """Highest frequency in Hz; at most half of `rate`."""
    seconds: Annotated[float, Field(gt=0, le=60)] = 2.0
    """Sound around a window's centre that a model hears."""

    @model_validator(mode="after")
    def _below_nyquist(self) -> "AudioSettings":
        if not self.low < self.high <= self.rate / 2:
            raise ValueError(
                f"audio.low = {self.low} and audio.high = {self.high}: low < high <= half of audio.rate = {self.rate}"
            )
        return self


class _Windows(Settings):
    kind: Literal["clip", "sliding"]
    """`clip`: one window a clip with the clip's label; `sliding`: many with labels of their own."""
    frames: Annotated[int, Field(ge=1, le=256)] = 10
    """Frames that a model sees of a window."""
    samplings: Annotated[int, Field(ge=1, le=64)] = 4
    """Temporal samplings of a window kept in the embedding cache: the first is regular, the others are jittered."""


class ClipWindow(_Windows):
    """One window a clip, at the same place in all of them; a frame from each of as many equal segments."""

    kind: Literal["clip"] = "clip"  # pyright: ignore[reportIncompatibleVariableOverride]
    """`clip`: one window a clip with the clip's label; `sliding`: many with labels of their own."""
    start: Annotated[float, Field(ge=0.0)] = 2.0
    """Start of the window in seconds; the paper reads 2.0 to 5.0 s."""
    stop: Annotated[float, Field(gt=0.0)] = 5.0
    """End of the window in seconds."""

    @property
    def context(self) -> int:
        """Neighbouring windows that a fused model sees, itself included."""
        return 1

    @model_validator(mode="after")
    def _ordered(self) -> "ClipWindow":
        if self.stop <= self.start:
            raise ValueError(f"windows.stop = {self.stop} must be greater than windows.start = {self.start}")
        return self


class SlidingWindows(_Windows):
    """Windows along a trial whose label changes: each predicts its own moment, and sees its neighbours."""

    kind: Literal["sliding"] = "sliding"  # pyright: ignore[reportIncompatibleVariableOverride]
    """`clip`: one window a clip with the clip's label; `sliding`: many with labels of their own."""
    stride: Annotated[int, Field(ge=1, le=64)] = 3
    """Frames of the video from one frame of a window to the next."""
    hop: Annotated[int, Field(ge=1, le=1000)] = 15
    """Frames of the video from one window's centre to the next; values between centres are interpolated."""
    context: Annotated[int, Field(ge=1, le=63)] = 5
    """Neighbouring windows that a fused model sees, itself in the middle; odd."""

    @model_validator(mode="after")
    def _has_middle(self) -> "SlidingWindows":
        if self.context % 2 == 0:
            raise ValueError(f"windows.context = {self.context} has no middle: use an odd number")
        return self


Windows = Annotated[ClipWindow | SlidingWindows, Field(discriminator="kind")]
