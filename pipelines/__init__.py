"""mtpkd: distil multimodal teachers into a student that sees only the face."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.inference.student import load_student

__version__ = "0.1.0"
__all__ = ["__version__", "load_student"]


def __getattr__(name: str) -> Any:
    # Every command imports this package, and few of them run a student.
    if name == "load_student":
        from pipelines.inference.student import load_student

        return load_student
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
