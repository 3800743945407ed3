"""Takes interfaces out of the OpenAPI document that a service does not have."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

ALWAYS = "securitySchemes"


def without_tags(document: Mapping[str, Any], tags: Collection[str]) -> dict[str, Any]:
    """Returns the document without operations of these tags, and without what they alone use."""
    paths = {path: _kept(verbs, tags) for path, verbs in document["paths"].items()}
    pruned = {
        **document,
        "tags": [each for each in document["tags"] if each["name"] not in tags],
        "paths": {path: verbs for path, verbs in paths.items() if verbs},
    }
    return pruned | {"components": _used(pruned)}


def _kept(verbs: Mapping[str, Any], tags: Collection[str]) -> dict[str, Any]:
    return {verb: each for verb, each in verbs.items() if not set(each["tags"]) & set(tags)}


def _used(document: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the components to which the paths lead."""
    components = document["components"]
    used: set[tuple[str, str]] = set()
    found = list(_references(document["paths"]))
    while found:
        kind, name = found.pop()
        if (kind, name) not in used:
            used.add((kind, name))
            found += _references(components[kind][name])
    return {
        kind: {name: each for name, each in named.items() if kind == ALWAYS or (kind, name) in used}
        for kind, named in components.items()
    }


def _references(node: Any) -> Iterator[tuple[str, str]]:
    match node:
        case {"$ref": str() as reference}:
            kind, name = reference.removeprefix("#/components/").split("/")
            yield kind, name
        case dict():
            for each in node.values():
                yield from _references(each)
        case list():
            for each in node:
                yield from _references(each)
