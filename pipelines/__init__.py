"""mtpkd: distil multimodal teachers into a student that sees only the face."""

__version__ = "0.1.0"
