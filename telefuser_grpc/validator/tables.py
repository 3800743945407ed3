"""What the rules know by name: modules, attributes and builtins."""

from fnmatch import fnmatchcase

_SUSPICIOUS = {
    "starts other processes": "subprocess _posixsubprocess multiprocessing pty posix nt",
    "reaches the network": (
        "socket _socket socketserver ssl urllib urllib2 urllib3 http ftplib telnetlib smtplib "
        "poplib imaplib xmlrpc requests httpx aiohttp websocket websockets paramiko"
    ),
    "runs code that is hidden in data": (
        "pickle _pickle cPickle dill cloudpickle joblib shelve marshal"
    ),
    "loads code past this check": "imp importlib runpy pkgutil zipimport code codeop",
    "reaches the memory of the process": "ctypes _ctypes cffi",
    "reaches into the interpreter": "sys builtins __builtin__",
}
SUSPICIOUS = {name: why for why, names in _SUSPICIOUS.items() for name in names.split()}
HARMLESS = ("urllib.parse", "importlib.metadata", "importlib.resources")
MAIN_ONLY = {
    "os": "reaches files and other processes: look at what is used of it",
    "click": "only a program needs, not a file that is served",
    "argparse": "only a program needs, not a file that is served",
}

_DOCUMENTED = (
    "torch numpy telefuser diffusers transformers PIL einops loguru tqdm typing dataclasses enum "
    "pathlib json math random functools itertools collections types inspect warnings contextlib"
)
_LIBRARIES = (
    "telefuser_grpc accelerate av bitsandbytes cv2 decord flash_attn ftfy huggingface_hub imageio "
    "kornia librosa omegaconf peft regex safetensors scipy sentencepiece skimage soundfile "
    "structlog tokenizers torchaudio torchvision triton typing_extensions xformers yaml"
)
_STANDARD = (
    "__future__ abc argparse array asyncio base64 binascii bisect calendar click cmath colorsys "
    "concurrent copy csv datetime decimal difflib fractions gc glob gzip hashlib heapq hmac io "
    "locale logging numbers operator os platform pprint queue re secrets shutil statistics string "
    "struct tempfile textwrap threading time traceback unicodedata uuid weakref zlib zoneinfo"
)
LISTED = frozenset(f"{_DOCUMENTED} {_LIBRARIES} {_STANDARD}".split())

CODE_BUILTINS = ("eval", "exec", "compile", "__import__", "open")
SHADOWABLE = ("compile", "open")
KNOWN_BUILTINS = (*CODE_BUILTINS, "getattr", "setattr", "delattr", "globals", "locals", "vars")
OPENERS = ("io.open", "io.open_code", "io.FileIO", "codecs.open", "os.open", "os.fdopen")

_DANGEROUS = {
    "os": (
        "system popen spawn* posix_spawn* exec* fork* kill* remove removedirs unlink rmdir _exit "
        "abort startfile chroot setuid setgid"
    ),
    "sys": (
        "exit _exit modules path stdin stdout stderr meta_path path_hooks settrace setprofile "
        "_getframe"
    ),
    "subprocess": "*",
    "importlib": "import_module reload",
    "shutil": "rmtree",
    "asyncio": (
        "create_subprocess_exec create_subprocess_shell open_connection start_server "
        "open_unix_connection start_unix_server"
    ),
    "multiprocessing": "Process Pool Manager spawn start_processes get_context",
    "concurrent.futures": "ProcessPoolExecutor",
    "pty": "fork spawn",
    "runpy": "*",
    "torch.hub": "load load_state_dict_from_url download_url_to_file",
    "torch.utils.cpp_extension": "load load_inline",
    "torch.ops": "load_library",
    "torch.classes": "load_library",
    "torch.package": "PackageImporter",
}
DANGEROUS_ANYWHERE = frozenset(
    [
        "create_subprocess_exec",
        "create_subprocess_shell",
        "subprocess_exec",
        "subprocess_shell",
        "create_datagram_endpoint",
        "import_module",
        "exec_module",
        "load_module",
        "rmtree",
        "check_output",
        "Popen",
        "getoutput",
    ]
)
WATCHED = ("os", "sys", "builtins", "importlib", "subprocess", "shutil", "ctypes", "socket")
REACHABLE = (*WATCHED, "multiprocessing", "pickle", "marshal", "posix", "runpy")
_QUIET_OS = (
    *("os.path.*", "os.environ*", "os.getenv", "os.fspath", "os.getcwd", "os.getpid"),
    *("os.cpu_count", "os.sched_getaffinity", "os.urandom"),
)

INTROSPECTION = frozenset(
    [
        "__subclasses__",
        "__globals__",
        "__builtins__",
        "__code__",
        "__closure__",
        "__loader__",
        "__getattribute__",
        "__import__",
        "f_globals",
        "f_locals",
        "f_builtins",
        "gi_frame",
        "cr_frame",
        "tb_frame",
    ]
)
FILE_READS = frozenset(["read_text", "read_bytes", "open", "iterdir", "glob", "rglob", "readlink"])
FILE_WRITES = frozenset(
    ["write_text", "write_bytes", "unlink", "rmdir", "symlink_to", "hardlink_to", "chmod", "touch"]
)
SYSTEM_PATHS = ("/etc/", "/proc/", "/sys/", "/run/", "/var/run/", "~/.ssh", "~/.aws")


def danger_in(name: str) -> str | None:
    """Returns the part of a dotted name that no pipeline needs, such as `os.system`, or None."""
    for module, patterns in _DANGEROUS.items():
        attribute = name.removeprefix(f"{module}.").partition(".")[0]
        is_inside = name.startswith(f"{module}.")
        if is_inside and any(fnmatchcase(attribute, pattern) for pattern in patterns.split()):
            return f"{module}.{attribute}"
    return None


def is_quiet(name: str) -> bool:
    """Returns whether a name of `os` only reads where the process is."""
    return any(fnmatchcase(name, pattern) for pattern in _QUIET_OS)


def suspicion(module: str) -> str | None:
    """Returns what is suspicious of importing a module, or None."""
    return None if _is_harmless(module) else SUSPICIOUS.get(module.partition(".")[0])


def is_listed(module: str) -> bool:
    """Returns whether a module may be imported at the strict level."""
    return module.partition(".")[0] in LISTED or _is_harmless(module)


def _is_harmless(module: str) -> bool:
    return any(module == part or module.startswith(f"{part}.") for part in HARMLESS)
