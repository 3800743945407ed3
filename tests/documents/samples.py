"""The samples of the two documents by name, and what a document means by a JSON sample."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SAMPLE = re.compile(r"^## ([\w-]+)\n\n```\w+\n(.*?)\n```$", re.DOTALL | re.MULTILINE)
ADDRESS = re.compile(r"(127\.0\.0\.1|localhost):8000")


def _read(document: str) -> dict[str, str]:
    return dict(SAMPLE.findall((HERE / document).read_text()))


SERVICE_GUIDE = _read("service_guide.md")
METADATA_GUIDE = _read("metadata_guide.md")


def sample(name: str) -> str:
    """Returns a sample as it is written."""
    return (SERVICE_GUIDE | METADATA_GUIDE)[name]


def json_sample(name: str) -> Any:
    """Returns what a JSON sample says."""
    return json.loads(sample(name))


def on(target: str, text: str) -> str:
    """Returns a sample for a service that listens elsewhere."""
    return ADDRESS.sub(target, text)


def without(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Returns an object without the keys whose values differ from run to run."""
    return {name: value for name, value in values.items() if name not in names}


def differences(answer: Any, documented: Any, place: str = "$") -> list[str]:
    """Tells where an answer lacks a documented key, or has a value of another type.

    Keys that are not documented are no difference.
    """
    if _type(answer) != _type(documented):
        return [f"{place} is {_type(answer)}, not {_type(documented)}"]
    if isinstance(documented, dict):
        lacking = [f"{place}.{name} is missing" for name in documented.keys() - answer.keys()]
        common = documented.keys() & answer.keys()
        return lacking + [
            each
            for name in sorted(common)
            for each in differences(answer[name], documented[name], f"{place}.{name}")
        ]
    if isinstance(documented, list) and documented:
        return [
            each
            for index, value in enumerate(answer)
            for each in differences(value, documented[0], f"{place}[{index}]")
        ]
    return []


def _type(value: Any) -> str:
    return "number" if type(value) in (int, float) else type(value).__name__
