"""The error family of every room: an error says *retry* or *reject*, and names the frame it is about."""

from __future__ import annotations


class LeukostreamError(Exception):
    """Base of all errors raised on purpose; its text is one line for a person."""

    def __init__(self, message: str, *, frame_id: str | None = None) -> None:
        super().__init__(message)
        self.frame_id = frame_id


class Retry(LeukostreamError):
    """What failed may succeed later with the same frame: keep it and try again."""


class Reject(LeukostreamError):
    """The frame itself is at fault and will never be accepted; `reason` goes into its receipt."""

    def __init__(self, reason: str, *, frame_id: str | None = None) -> None:
        super().__init__(reason, frame_id=frame_id)
        self.reason = reason


class Misconfigured(LeukostreamError):
    """A setting or the machine is not as needed; the text says what to do (exit status 2)."""


class Unavailable(LeukostreamError):
    """A part that is needed does not answer or is missing; the text says what to do (exit status 1)."""
