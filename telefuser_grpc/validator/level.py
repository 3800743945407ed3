"""How much is asked of a pipeline file before it is served."""

from enum import StrEnum


class Level(StrEnum):
    """Each level asks for all that the one before it asks for."""

    NONE = "none"  # nothing is looked at
    BASIC = "basic"  # no dangerous code, as far as reading the file can tell
    STRICT = "strict"  # and no import that is not listed
    SANDBOX = "sandbox"  # and it loads in a process that may do little

    def includes(self, other: "Level") -> bool:
        """Returns whether this level asks for all that the other one asks for."""
        levels = list(Level)
        return levels.index(self) >= levels.index(other)
