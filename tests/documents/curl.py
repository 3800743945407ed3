"""Stands in for curl where it is not installed: the options of the documents, and no others."""

import argparse
import sys
from pathlib import Path

import httpx


def main() -> None:
    """Makes one request; tells status and content type as the tests' `.curlrc` lets curl do."""
    asked = _parse()
    fields = [each.partition("=")[::2] for each in asked.form]
    answer = httpx.request(
        asked.request or ("POST" if asked.data else "GET"),
        asked.url,
        headers=dict(each.split(": ", 1) for each in asked.header),
        content=asked.data and asked.data.encode(),
        files=[_part(name, value) for name, value in fields] or None,
        timeout=60,
        trust_env=False,
    )
    if asked.output:
        asked.output.write_bytes(answer.content)
    else:
        sys.stdout.buffer.write(answer.content)
    sys.stderr.write(f"{answer.status_code} {answer.headers.get('content-type', '')}")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("-X", "--request")
    parser.add_argument("-H", "--header", action="append", default=[])
    parser.add_argument("-F", "--form", action="append", default=[])
    parser.add_argument("-d", "--data")
    parser.add_argument("-o", "--output", type=Path)
    return parser.parse_args()


def _part(name: str, value: str) -> tuple[str, tuple[str | None, bytes]]:
    if value.startswith("@"):
        path = Path(value[1:])
        return name, (path.name, path.read_bytes())
    return name, (None, value.encode())


if __name__ == "__main__":
    main()
