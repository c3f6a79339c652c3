"""The rules of our own: what the linters do not know, or do not know of Outport. Each module is about one thing."""

from . import alarms, batch, containers, document, events, iam, settings, state, transfer  # noqa: F401 (they register)
