"""The table of the samples is whole, and true."""

import ast
import re

from tests.documents.samples import HERE, METADATA_GUIDE, SERVICE_GUIDE

TABLE = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (HERE / "README.md").read_text().splitlines()
    if line.startswith("|")
]
SAMPLES = SERVICE_GUIDE | METADATA_GUIDE
SOURCES = {path.stem: path.read_text() for path in HERE.glob("*.py")}
TESTS = {
    each.name
    for name, source in SOURCES.items()
    if name.startswith("test_") and name != "test_table"
    for each in ast.parse(source).body
    if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and each.name.startswith("test_")
}


def quoted(column: int) -> set[str]:
    return {name for row in TABLE for name in re.findall(r"`([\w-]+)`", row[column])}


def test_every_sample_is_in_the_table() -> None:
    assert SAMPLES.keys() - quoted(1) == set()


def test_every_test_of_the_table_exists_and_every_test_is_in_it() -> None:
    assert quoted(2) == TESTS


def test_every_sample_is_used() -> None:
    words = {
        each.value
        for source in SOURCES.values()
        for each in ast.walk(ast.parse(source))
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    }

    assert SAMPLES.keys() - words == set()
