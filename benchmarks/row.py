"""One row of the table: samples of one quantity, and the goals that they are held against."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTHS = (58, 6, 10, 10, 10, 10, 6)
HEADINGS = ("measure", "unit", "median", "p99", "min", "max", "n")
LEAST_FOR_P99 = 100  # with fewer samples the maximum says it


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound of one statistic: `p50`, `p99` or `max`."""

    statistic: str
    bound: float
    relation: str

    def __str__(self) -> str:
        return f"{self.statistic} {self.relation} {self.bound:g}"

    def is_met(self, row: "Row") -> bool:
        """Tells whether a row keeps the bound."""
        value = getattr(row, self.statistic)
        return bool(value <= self.bound if self.relation == "<=" else value >= self.bound)


def at_most(bound: float, statistic: str = "p50") -> Goal:
    """Returns a goal that the statistic does not exceed."""
    return Goal(statistic, bound, "<=")


def at_least(bound: float, statistic: str = "p50") -> Goal:
    """Returns a goal that the statistic reaches."""
    return Goal(statistic, bound, ">=")


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured, in which unit, and every sample of it."""

    name: str
    unit: str
    samples: Sequence[float]
    goals: tuple[Goal, ...] = ()

    @property
    def p50(self) -> float:
        """The median."""
        return self._quantile(0.5)

    @property
    def p99(self) -> float:
        """What 99 of 100 samples do not exceed."""
        return self._quantile(0.99)

    @property
    def max(self) -> float:
        """The greatest sample."""
        return max(self.samples)

    @property
    def verdict(self) -> str:
        """Whether the goals are met, "" where there is none."""
        if not self.goals:
            return ""
        return "met" if all(goal.is_met(self) for goal in self.goals) else "MISSED"

    def text(self) -> str:
        """Returns the row as a line of the table."""
        tail = f"{', '.join(map(str, self.goals))}  {self.verdict}".strip()
        p99 = number(self.p99) if len(self.samples) >= LEAST_FOR_P99 else ""
        figures = (number(self.p50), p99, number(min(self.samples)), number(self.max))
        return line((self.name, self.unit, *figures, str(len(self.samples))), tail)

    def record(self) -> dict[str, object]:
        """Returns the row for a JSON file."""
        return {
            "name": self.name,
            "unit": self.unit,
            "count": len(self.samples),
            "p50": self.p50,
            "p99": self.p99,
            "min": min(self.samples),
            "max": self.max,
            "goals": list(map(str, self.goals)),
            "verdict": self.verdict,
        }

    def _quantile(self, share: float) -> float:
        ordered = sorted(self.samples)
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def heading() -> str:
    """Returns the line above the rows."""
    return line(HEADINGS, "goal")


def line(cells: Sequence[str], tail: str) -> str:
    """Lays out cells: the first two to the left, figures to the right."""
    laid = [
        f"{cell:<{width}}" if index < 2 else f"{cell:>{width}}"
        for index, (cell, width) in enumerate(zip(cells, WIDTHS, strict=True))
    ]
    return "  ".join([*laid, tail]).rstrip()


def number(value: float) -> str:
    """Writes a figure with three significant digits or more."""
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"
