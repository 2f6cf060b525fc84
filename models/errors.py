"""What can go wrong in the models room; each message says what to do."""

from __future__ import annotations


class UnreadableImage(ValueError):
    """These bytes are no image that can be decoded."""


class CheckpointUnusable(ValueError):
    """A checkpoint is missing, damaged or of a version that this program does not read."""


class DataMissing(ValueError):
    """The images to learn from are not where they were said to be, or not in the layout that is read."""


class StateOfAnother(ValueError):
    """The state of an unfinished training is damaged, of another version, or of other settings, data or seed."""


class DataRefused(ValueError):
    """These images would teach something else than what they are labelled with, or measure what was learned."""


class ProfileUnusable(ValueError):
    """A laboratory's profile is missing, changed, shut, or made for another model."""
