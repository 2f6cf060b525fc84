"""The door of the house: the command line, the supervisor and the demonstration."""

__version__ = "0.1.0"
