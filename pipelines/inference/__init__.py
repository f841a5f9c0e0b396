"""A trained student at work: a video, a folder or a camera in, estimates out. Torch is imported only where it runs."""

from pipelines.inference.description import Calibration, StudentDescription
from pipelines.inference.runtime import Runtime

__all__ = ["Calibration", "Runtime", "StudentDescription"]
