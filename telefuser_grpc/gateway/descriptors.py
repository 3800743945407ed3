"""What the protos say about HTTP: their descriptors for the transcoder, their rules as routes."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from google.api import annotations_pb2, http_pb2
from google.protobuf.descriptor import FileDescriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.rpc import error_details_pb2

from telefuser_grpc import _gen

_SESSIONS = frozenset(
    {"telefuser.v1.SessionService", "telefuser.rest.v1.RestStreamService"},
)
_BESIDE_SESSIONS = frozenset(
    {
        "telefuser.v1.SystemService",
        "telefuser.rest.v1.RestSystemService",
        "telefuser.rest.v1.RestDocsService",
    }
)
_VERBS = ("get", "put", "post", "delete", "patch")
_VARIABLE = re.compile(r"\{[^}=]+(?:=([^}]*))?\}")
_WILDCARD = re.compile(r"\*\*|\*")


class Face(StrEnum):
    """What a server is for: it has the services of one face, and no other path."""

    TASKS = "tasks"
    SESSIONS = "sessions"

    def has(self, service: str) -> bool:
        """Tells whether a service belongs to it."""
        if self is Face.SESSIONS:
            return service in _SESSIONS or service in _BESIDE_SESSIONS
        return service not in _SESSIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRoute:
    """One binding of an RPC to a verb and a path."""

    service: str
    method: str
    verb: str
    path_template: str
    server_streaming: bool = False
    client_streaming: bool = False

    @property
    def regex(self) -> str:
        """Matches whole paths; a trailing slash is ignored, as the transcoder does."""
        pattern = _VARIABLE.sub(lambda match: match[1] or "*", self.path_template)
        literals = _WILDCARD.split(pattern)
        wildcards = [".*" if each == "**" else "[^/]+" for each in _WILDCARD.findall(pattern)]
        parts = [re.escape(literals[0])]
        for wildcard, literal in zip(wildcards, literals[1:], strict=True):
            parts += wildcard, re.escape(literal)
        return "".join(parts) + "/?"

    @property
    def example(self) -> str:
        """A path that matches, with every variable at its plainest."""
        pattern = _VARIABLE.sub(lambda match: match[1] or "*", self.path_template)
        return _WILDCARD.sub("x", pattern)


def descriptor_set() -> FileDescriptorSet:
    """Describes every generated proto and what it imports, dependencies first."""
    files: dict[str, FileDescriptor] = {}
    for descriptor in (*_generated_files(), error_details_pb2.DESCRIPTOR):
        _collect(descriptor, files)
    described = FileDescriptorSet()
    for descriptor in files.values():
        descriptor.CopyToProto(described.file.add())
    return described


def http_routes(face: Face = Face.TASKS) -> list[HttpRoute]:
    """Lists the bindings of every RPC of a face that has an HTTP rule."""
    return [
        route
        for method in rpc_methods(face)
        if method.GetOptions().HasExtension(annotations_pb2.http)
        for route in _routes(method, method.GetOptions().Extensions[annotations_pb2.http])
    ]


def rpc_methods(face: Face = Face.TASKS) -> list[MethodDescriptor]:
    """Lists every RPC of a face, of the generated protos."""
    return [
        method
        for file in _generated_files()
        for service in file.services_by_name.values()
        if face.has(service.full_name)
        for method in service.methods
    ]


def _generated_files() -> Iterator[FileDescriptor]:
    for module in pkgutil.walk_packages(_gen.__path__, f"{_gen.__name__}."):
        if module.name.endswith("_pb2"):
            yield importlib.import_module(module.name).DESCRIPTOR


def _collect(descriptor: FileDescriptor, files: dict[str, FileDescriptor]) -> None:
    if descriptor.name in files:
        return
    for dependency in descriptor.dependencies:
        _collect(dependency, files)
    files[descriptor.name] = descriptor


def _routes(method: MethodDescriptor, rule: http_pb2.HttpRule) -> Iterator[HttpRoute]:
    for binding in (rule, *rule.additional_bindings):
        verb, path = _verb_and_path(binding)
        yield HttpRoute(
            service=method.containing_service.full_name,
            method=method.name,
            verb=verb,
            path_template=path,
            server_streaming=method.server_streaming,
            client_streaming=method.client_streaming,
        )


def _verb_and_path(binding: http_pb2.HttpRule) -> tuple[str, str]:
    if binding.HasField("custom"):
        return binding.custom.kind, binding.custom.path
    verb = next(each for each in _VERBS if binding.HasField(each))
    return verb.upper(), getattr(binding, verb)
