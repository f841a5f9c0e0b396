"""Errors a user can act on. The command line prints their message, never a traceback.

Every message names the file, the value and the remedy. The exit status travels with the class, so that no
command has to know which mistake maps to which number.
"""

from pathlib import Path


class MtpkdError(Exception):
    """Base of every expected failure; `exit_status` is what the process returns."""

    exit_status = 1


class SettingsError(MtpkdError):
    """A recipe or a command line that cannot be meant: exit status 2."""

    exit_status = 2


class TooManyFailures(MtpkdError):
    """More clips failed than `max_failures` allows: exit status 3."""

    exit_status = 3


class MissingArtifact(MtpkdError):
    """A stage was started before the stage that writes its input."""


class WorkspaceInUse(MtpkdError):
    """Another process is writing in the workspace."""


class CannotWrite(MtpkdError):
    """A disk is full, or a folder may not be written to."""


class LeakageError(MtpkdError):
    """Something learned from subjects that it must not have seen."""


class UnreadableMedia(MtpkdError):
    """One input file cannot be used; recorded in failures.csv, the run goes on.

    Args:
        file: the file at fault.
        reason: one line, lower case, that names the offending value.
    """

    def __init__(self, file: Path | str, reason: str) -> None:
        super().__init__(f"{file}: {reason}")
        self.file = Path(file)
        self.reason = reason

    def __reduce__(self):
        # Exceptions cross process borders; the default would replay the joined message as `file`.
        return type(self), (self.file, self.reason)


class DamagedFile(MtpkdError):
    """A file of the workspace that is not there, or not what was written.

    Args:
        file: the file at fault.
        reason: what is wrong with it, as the rest of a sentence that begins with its name.
        remedy: what to do about it.
    """

    def __init__(
        self, file: Path | str, reason: str, remedy: str = "delete it and run the stage that wrote it again"
    ) -> None:
        super().__init__(f"{file} {reason}: {remedy}")
        self.file = Path(file)
        self.reason = reason
        self.remedy = remedy

    def __reduce__(self):
        return type(self), (self.file, self.reason, self.remedy)


class TrainingDiverged(MtpkdError):
    """A loss that is no number any more."""
