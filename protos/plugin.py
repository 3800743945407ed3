"""The buf plugin that writes `telefuser_grpc/_gen`: messages, typed stubs and gRPC code.

protoc roots its imports at the proto path, so `telefuser/v1` would become a top-level `telefuser`
package and shadow the engine that pipeline files import. This plugin runs the protoc inside
grpcio-tools, which needs no network, and roots the imports under the package named by `package=`.
"""

import re
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc


def main() -> None:
    """Answers one CodeGeneratorRequest from standard input on standard output."""
    request = CodeGeneratorRequest.FromString(sys.stdin.buffer.read())
    response = CodeGeneratorResponse(
        supported_features=CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL
    )
    with tempfile.TemporaryDirectory() as folder:
        for name, content in generate(request, Path(folder)):
            response.file.add(name=name, content=content)
    sys.stdout.buffer.write(response.SerializeToString())


def generate(request: CodeGeneratorRequest, folder: Path) -> list[tuple[str, str]]:
    """Returns the (name, content) pairs of every module that the request asks for."""
    descriptors = folder / "descriptors.binpb"
    descriptors.write_bytes(FileDescriptorSet(file=request.proto_file).SerializeToString())
    out = folder / "out"
    out.mkdir()
    outputs = [f"--{kind}_out={out}" for kind in ("python", "pyi", "grpc_python", "mypy_grpc")]
    command = ["protoc", f"--descriptor_set_in={descriptors}", *outputs, *request.file_to_generate]
    if status := protoc.main(command):
        sys.exit(status)
    reroot = rerooter(request)
    services = with_services(request)
    modules = [
        (name, reroot(path.read_text()))
        for path in sorted(out.rglob("*.py*"))
        if is_wanted(name := str(path.relative_to(out)), services)
    ]
    return [(name, "") for name in packages(name for name, _ in modules)] + modules


def packages(modules: Iterable[str]) -> list[str]:
    """Returns the `__init__.py` of every folder that holds modules, and of those above it."""
    folders = {parent for name in modules for parent in Path(name).parents}
    return sorted(str(folder / "__init__.py") for folder in folders)


def rerooter(request: CodeGeneratorRequest) -> Callable[[str], str]:
    """Returns a function that moves absolute imports below the generated package."""
    package = request.parameter.removeprefix("package=")
    roots = "|".join(sorted({name.split("/")[0] for name in request.file_to_generate}))
    statement = re.compile(rf"^(from|import) ({roots})\.", re.MULTILINE)
    return lambda content: statement.sub(rf"\1 {package}.\2.", content)


def with_services(request: CodeGeneratorRequest) -> set[str]:
    """Returns the stems of the files that declare a service."""
    return {file.name.removesuffix(".proto") for file in request.proto_file if file.service}


def is_wanted(name: str, services: set[str]) -> bool:
    """Tells whether a module has content: protoc writes an empty gRPC module for every file."""
    stem, mark, _ = name.partition("_pb2_grpc.")
    return not mark or stem in services


if __name__ == "__main__":
    main()
