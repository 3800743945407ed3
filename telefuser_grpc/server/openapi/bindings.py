"""What the protos say about HTTP, as OpenAPI names it: a verb, a path and its parameters."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.api import annotations_pb2, http_pb2
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor

from telefuser_grpc import _gen

VERBS = ("get", "put", "post", "delete", "patch")
VARIABLE = re.compile(r"\{([^}=]+)(?:=[^}]*)?\}")
WHOLE_BODY = "*"
TYPES: dict[int, dict[str, Any]] = {
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptor.TYPE_INT32: {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    FieldDescriptor.TYPE_INT64: {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_UINT32: {"type": "integer", "minimum": 0, "maximum": 2**32 - 1},
    FieldDescriptor.TYPE_UINT64: {"type": "integer", "minimum": 0, "maximum": 2**64 - 1},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """One verb and path that an RPC answers.

    Attributes:
        rpc: `Service.Method`, without the package.
        method: The method's name alone.
        ordinal: 0 for the rule itself, then one for each additional binding.
        verb: Lower case, as OpenAPI writes it.
        path: With plain variables, `/v1/tasks/{task_id}`.
        variables: The schema of each variable of the path.
        query: The schema of each parameter of the query.
    """

    rpc: str
    method: str
    ordinal: int
    verb: str
    path: str
    variables: dict[str, dict[str, Any]]
    query: dict[str, dict[str, Any]]


def http_bindings() -> list[Binding]:
    """Lists the bindings of every RPC that has an HTTP rule."""
    return [
        _binding(method, ordinal, rule)
        for method in _methods()
        if method.GetOptions().HasExtension(annotations_pb2.http)
        for ordinal, rule in enumerate(_rules(method))
    ]


def _methods() -> Iterator[MethodDescriptor]:
    for module in pkgutil.walk_packages(_gen.__path__, f"{_gen.__name__}."):
        if module.name.endswith("_pb2"):
            for service in importlib.import_module(
                module.name
            ).DESCRIPTOR.services_by_name.values():
                yield from service.methods


def _rules(method: MethodDescriptor) -> list[http_pb2.HttpRule]:
    rule = method.GetOptions().Extensions[annotations_pb2.http]
    return [rule, *rule.additional_bindings]


def _binding(method: MethodDescriptor, ordinal: int, rule: http_pb2.HttpRule) -> Binding:
    verb, template = _verb_and_template(rule)
    fields = method.input_type.fields_by_name
    variables = VARIABLE.findall(template)
    return Binding(
        rpc=f"{method.containing_service.name}.{method.name}",
        method=method.name,
        ordinal=ordinal,
        verb=verb,
        path=VARIABLE.sub(r"{\1}", template),
        variables={name: _schema(fields[name]) for name in variables},
        query={
            name: _schema(field)
            for name, field in fields.items()
            if rule.body not in (name, WHOLE_BODY) and name not in variables
        },
    )


def _verb_and_template(rule: http_pb2.HttpRule) -> tuple[str, str]:
    if rule.HasField("custom"):
        return rule.custom.kind.lower(), rule.custom.path
    verb = next(each for each in VERBS if rule.HasField(each))
    return verb, getattr(rule, verb)


def _schema(field: FieldDescriptor) -> dict[str, Any]:
    schema = dict(TYPES[field.type])
    return {"type": "array", "items": schema} if field.is_repeated else schema
