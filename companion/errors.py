"""The few errors that cross borders, each named for what its receiver can do about it.

A message says what, which and what to do: it is shown to people as it stands.
"""

from collections.abc import Sequence


class CompanionError(Exception):
    """Base of every error that is meant for a person."""


class ConfigError(CompanionError):
    """The configuration is wrong: fix the file or the environment. Carries every mistake."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(self.mistakes))


class DataFolderBusy(CompanionError):
    """Another daemon owns the data folder: talk to it or stop it."""


class StoreTooNew(CompanionError):
    """The database was written by a newer version: upgrade the program."""


class StoreDamaged(CompanionError):
    """The database cannot be used as it is: restore a backup or move it to a local disk."""


class StoreClosed(CompanionError):
    """The program is stopping: nothing can be read or written any more."""


class QueryInterrupted(CompanionError):
    """A read took longer than its time limit and was stopped."""


class QueryError(CompanionError):
    """The search text cannot be understood. `position` counts characters from 0."""

    def __init__(self, message: str, position: int = 0) -> None:
        self.position = position
        super().__init__(message)


class ServerUnavailable(CompanionError):
    """A media server or folder does not answer now: try later."""


class AuthFailed(CompanionError):
    """A person must act: sign in again or give a new token."""


class MediaMissing(CompanionError):
    """The file is not where it was: forget it or wait until it is back."""


class FeatureOff(CompanionError):
    """The feature is switched off in the configuration."""


class PictureRefused(CompanionError):
    """What somebody gave as a picture is none that can be looked at: the message says why."""


class ModelMissing(CompanionError):
    """A model file is absent or has other bytes than expected: the message says how to bring it."""


class ScanFailed(CompanionError):
    """A stage could not read a file.

    permanent: trying again cannot help until the file, the model or the program changes.
    """

    def __init__(self, stage: str, reason: str, *, permanent: bool) -> None:
        self.stage = stage
        self.reason = reason
        self.permanent = permanent
        super().__init__(f"{stage}: {reason}")
