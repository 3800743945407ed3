"""Reads a Dockerfile as far as ours goes: stages, their instructions, and what they inherit."""

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

INSTRUCTIONS = {
    *("ARG", "FROM", "ENV", "WORKDIR", "RUN", "COPY", "USER", "EXPOSE", "VOLUME"),
    *("STOPSIGNAL", "HEALTHCHECK", "CMD"),
}
FROM = re.compile(r"(\S+)(?: AS (\S+))?")


@dataclass
class Stage:
    """One stage: its instructions in their order, after those of the stage it begins with."""

    name: str
    parent: str
    own: list[tuple[str, str]] = field(default_factory=list)
    inherited: list[tuple[str, str]] = field(default_factory=list)

    @property
    def all(self) -> list[tuple[str, str]]:
        """All instructions that an image of the stage has."""
        return self.inherited + self.own

    def values(self, instruction: str) -> list[str]:
        """Returns what follows each such instruction."""
        return [value for name, value in self.all if name == instruction]

    def last(self, instruction: str) -> str:
        """Returns what holds of an instruction of which the last counts."""
        return self.values(instruction)[-1]

    def command(self, instruction: str) -> list[str]:
        """Returns the words of a CMD, or of a HEALTHCHECK's CMD, in its exec form."""
        value = self.last(instruction)
        words = json.loads(value[value.index("[") :])
        assert all(isinstance(each, str) for each in words)
        return list(words)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that are set."""
        pairs = [word.partition("=") for value in self.values("ENV") for word in shlex.split(value)]
        return {name: value for name, _, value in pairs}


def read_dockerfile(path: Path) -> dict[str, Stage]:
    """Returns the stages; an instruction that Docker does not know fails."""
    stages: dict[str, Stage] = {}
    current: Stage | None = None
    for instruction, value in _instructions(path.read_text()):
        assert instruction in INSTRUCTIONS, f"{instruction} is no instruction of ours"
        if instruction == "FROM":
            match = FROM.fullmatch(value)
            assert match, value
            parent = match[1]
            inherited = stages[parent].all if parent in stages else []
            current = Stage(match[2], parent, inherited=list(inherited))
            stages[match[2]] = current
        elif current is not None:
            current.own.append((instruction, value))
    return stages


def _instructions(text: str) -> list[tuple[str, str]]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    found = [line.partition(" ") for line in joined.splitlines() if line.strip()]
    return [(name, value.strip()) for name, _, value in found]
