"""Log-mel spectrograms, equal to librosa's at several times its speed, whole or as the sound comes.

Decisions:

- Column i is centred on sample i * hop: what lies beyond either end of the sound is zero, as with librosa's
  `center=True, pad_mode="constant"`. n samples give 1 + n // hop columns.
- Columns are always computed by so many at a time, whatever the sizes of the pieces that come in, so a spectrogram is
  the same to the last bit whether its sound came whole or in pieces.
- Computed in float32, as librosa does: what lies 80 dB below the loudest band of its column suffers from rounding.
- No normalisation, not even by the loudest moment of a recording: what is heard must not depend on what comes later.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from pipelines.errors import SettingsError
from pipelines.recipe import AudioSettings

if TYPE_CHECKING:
    import torch

FLOOR = 1e-10
"""Least power, -100 dB, as in librosa's `power_to_db`."""
BLOCK = 1024
"""Columns computed at a time; 512 to 2,048 take about the same time, fewer and more take longer."""
BANDS = 4
"""Groups that the filter bank is multiplied in; more gain little."""


def analysis_samples(settings: AudioSettings) -> tuple[int, int, int]:
    """Samples of a window, of a hop, and of the Fourier transform: the next power of two that holds the window."""
    window = max(1, round(settings.window_seconds * settings.rate))
    hop = max(1, round(settings.hop_seconds * settings.rate))
    return window, hop, 1 << max(1, (window - 1).bit_length())


def log_mel(wave: np.ndarray, settings: AudioSettings) -> np.ndarray:
    """(mels, 1 + n // hop) float32 decibels of (n,) samples at `settings.rate`; column i is centred on sample i * hop.

    10 log10(max(1e-10, F |STFT|^2)) with a periodic Hann window and the filter bank F of Slaney's Auditory Toolbox
    (1998), triangles of equal area: `librosa.filters.mel(htk=False, norm="slaney")`.

    Raises:
        SettingsError: so many bands that some would hold no frequency at all.
    """
    stream = LogMelStream(settings)
    return np.concatenate([*stream.push(wave), *stream.finish()], axis=1)


class LogMelStream:
    """`log_mel` of sound that comes in pieces: the columns it yields, joined, are those of the whole.

    Args:
        settings: rate, window, hop and filter bank.
    """

    def __init__(self, settings: AudioSettings) -> None:
        window, self._hop, self._fft = analysis_samples(settings)
        self._window = _padded_window(window, self._fft)
        self._bands = _bands(settings.rate, self._fft, settings.mels, settings.low, settings.high)
        self._pieces = [np.zeros(self._fft // 2, np.float32)]
        self._waiting = self._fft // 2

    def push(self, samples: np.ndarray) -> Iterator[np.ndarray]:
        """Yields (mels, k) float32 as soon as there is enough sound for it."""
        self._pieces.append(np.asarray(samples, np.float32))
        self._waiting += len(samples)
        needed = (BLOCK - 1) * self._hop + self._fft
        if self._waiting < needed:
            return
        sound, first = np.concatenate(self._pieces), 0
        while len(sound) - first >= needed:
            yield self._columns(sound[first : first + needed])
            first += BLOCK * self._hop
        self._pieces, self._waiting = [sound[first:]], len(sound) - first

    def finish(self) -> Iterator[np.ndarray]:
        """Yields the last (mels, k) columns; nothing may be pushed after it."""
        end = np.zeros(self._fft - self._fft // 2, np.float32)
        yield from self.push(end)
        if self._waiting >= self._fft:
            yield self._columns(np.concatenate(self._pieces))

    def _columns(self, sound: np.ndarray) -> np.ndarray:
        import torch

        with _one_thread():
            frames = torch.from_numpy(np.ascontiguousarray(sound)).unfold(0, self._fft, self._hop)
            # The sum of two strided views takes an eighth of what `.sum(-1)` takes.
            squares = torch.view_as_real(torch.fft.rfft(frames * self._window)).square()
            power = squares[..., 0] + squares[..., 1]
            mels = torch.cat([bank @ power[:, bins].T for bins, bank in self._bands]).numpy()
        decibels = np.log10(np.maximum(mels, FLOOR, out=mels), out=mels)
        return np.multiply(decibels, np.float32(10), out=decibels)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Threads that share busy cores take many times as long as one thread alone: each waits for the other, awake."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _padded_window(window: int, fft: int) -> "torch.Tensor":
    """(fft,) a periodic Hann window amid zeros, as librosa and torch.stft place a window shorter than the transform."""
    import torch

    before = (fft - window) // 2
    return torch.nn.functional.pad(torch.hann_window(window), (before, fft - window - before))


@lru_cache(maxsize=4)
def _bands(rate: int, fft: int, mels: int, low: float, high: float) -> "tuple[tuple[slice, torch.Tensor], ...]":
    """The filter bank in BANDS groups of neighbours: the bins that a group reads, and its (mels, bins) weights.

    A filter reads few of the bins; multiplying the whole bank, mostly zeros, would take more than twice as long.
    """
    import librosa
    import torch

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Empty filters")  # refused below, in the user's words
        bank = librosa.filters.mel(sr=rate, n_fft=fft, n_mels=mels, fmin=low, fmax=high, htk=False, norm="slaney")
    if empty := int((~bank.any(1)).sum()):
        raise SettingsError(
            f"audio.mels = {mels}: {empty} of these bands between {low:g} and {high:g} Hz hold no frequency of a "
            f"transform of {fft} samples at {rate} Hz: use fewer bands or a longer audio.window_seconds"
        )
    groups = []
    for rows in np.array_split(bank, BANDS):
        read = np.flatnonzero(rows.any(0))
        bins = slice(int(read[0]), int(read[-1]) + 1)
        groups.append((bins, torch.from_numpy(np.ascontiguousarray(rows[:, bins]))))
    return tuple(groups)
