"""Each rule: what it finds, and what it leaves alone."""

import pytest

from telefuser_grpc.validator import Level, Severity
from tests.validator.conftest import Check, found, types


@pytest.mark.parametrize(
    ("code", "label"),
    [
        ("import os\nos.system('ls')", "os.system pattern"),
        ("import subprocess", "subprocess import"),
        ("__import__('os')", "dynamic import"),
        ("eval('1')", "eval call"),
        ("exec ('1')", "exec call"),
        ("compile('1', 'x', 'exec')", "exec compile"),
        ('compile(f("a, b", 1), name,\n    "exec")', "exec compile"),
        ("import ctypes\nctypes.CDLL(None)", "ctypes usage"),
        ("import socket\nsocket.socket()", "socket usage"),
        ("import urllib.request", "urllib usage"),
        ("import requests\nrequests.get('x')", "requests usage (external HTTP)"),
    ],
)
def test_a_dangerous_pattern_is_critical(code: str, label: str, check: Check) -> None:
    finding = found(check(code, Level.BASIC), "CONTENT_PATTERN_MATCH")

    assert finding.severity is Severity.CRITICAL
    assert finding.description == f"Dangerous pattern detected: {label}"
    assert finding.column >= 1


@pytest.mark.parametrize(
    "code",
    [
        "model.eval()",
        "# never call exec( here",
        "def f():\n    '''Never call exec( or eval( here.'''",
        "websocket.send(1)",
        "class Net:\n    def eval(self):\n        return self\n",
        "requests = []\nrequests.append(1)",
        "from urllib.parse import urlparse\nurlparse('x')",
        "import urllib.parse\nurllib.parse.quote('x')",
        "def f(compile=False):\n    return 1 if compile else 2",
        "re.compile('1', 2, 'exec')",
        "import torch\ntorch.compile(model)",
        "from PIL import Image\nImage.open('x')",
        "import asyncio\nasyncio.gather()",
        "from concurrent.futures import ThreadPoolExecutor",
        "from importlib import metadata, resources",
        "import platform\nplatform.system()",
        "import av\nav.open('x')",
    ],
)
def test_harmless_code_that_looks_dangerous_is_clean(code: str, check: Check) -> None:
    report = check(code)

    assert (report.violations, report.warnings) == ((), ())


@pytest.mark.parametrize(
    "code", ["def f(:", "x = (", "\tx\n  y", "return = 1", "x = '\0'", "(" * 500, "-" * 99_999]
)
def test_code_that_does_not_parse_is_a_syntax_error(code: str, check: Check) -> None:
    finding = found(check(code, Level.BASIC), "SYNTAX_ERROR")

    assert finding.severity is Severity.HIGH


def test_a_byte_order_mark_is_no_syntax_error(check: Check) -> None:
    assert check(b"\xef\xbb\xbfimport torch\n").is_safe


MODULES = "subprocess sys ctypes socket urllib urllib2 http ftplib telnetlib pickle cPickle marshal"
MODULES += " imp importlib __builtin__ builtins urllib.request http.server requests httpx aiohttp"
MODULES += " multiprocessing torch.multiprocessing"


@pytest.mark.parametrize("module", MODULES.split())
def test_import_of_a_suspicious_module_is_high(module: str, check: Check) -> None:
    plain = check(f"import {module} as x", Level.BASIC)
    part = check(f"from {module} import x", Level.BASIC)

    assert found(plain, "SUSPICIOUS_IMPORT").severity is Severity.HIGH
    assert found(part, "SUSPICIOUS_MODULE_IMPORT").severity is Severity.HIGH


@pytest.mark.parametrize("module", ["os", "click", "argparse"])
def test_import_of_a_main_only_module_is_a_warning(module: str, check: Check) -> None:
    plain = check(f"import {module}")
    main = check(f"if __name__ == '__main__':\n    import {module}")
    other = check(f"if __name__ == '__main__':\n    pass\nelse:\n    import {module}")

    assert found(plain, "SUSPICIOUS_IMPORT").severity is Severity.LOW
    assert types(main) == {"MAIN_ONLY_IMPORT"}
    assert types(other) == {"SUSPICIOUS_IMPORT"}
    assert plain.is_safe
    assert main.is_safe


@pytest.mark.parametrize(
    ("code", "type_"),
    [
        ("import helper", "UNKNOWN_IMPORT"),
        ("import torchfoo", "UNKNOWN_IMPORT"),
        ("from helper import x", "UNKNOWN_MODULE_IMPORT"),
        ("from . import x", "UNKNOWN_MODULE_IMPORT"),
    ],
)
def test_import_that_is_not_listed_warns_and_at_strict_refuses(
    code: str, type_: str, check: Check
) -> None:
    basic, strict = check(code, Level.BASIC), check(code, Level.STRICT)

    assert found(basic, type_).severity is Severity.LOW
    assert found(strict, type_).severity is Severity.HIGH
    assert (basic.is_safe, strict.is_safe) == (True, False)


LISTED = "torch.nn numpy telefuser.x diffusers transformers PIL einops loguru tqdm.auto typing json"
LISTED += " telefuser_grpc.pipeline.templates safetensors accelerate time collections.abc"


@pytest.mark.parametrize("module", LISTED.split())
def test_listed_import_is_clean_at_strict(module: str, check: Check) -> None:
    assert not types(check(f"import {module}\nfrom {module} import x"))


@pytest.mark.parametrize(
    "code",
    [
        "from os import system",
        "from subprocess import run as r",
        "from shutil import rmtree",
        "from asyncio import create_subprocess_exec",
        "from os import *",
        "from torch.hub import load",
    ],
)
def test_import_of_a_dangerous_attribute_is_critical(code: str, check: Check) -> None:
    finding = found(check(code, Level.BASIC), "DANGEROUS_ATTRIBUTE_IMPORT")

    assert finding.severity is Severity.CRITICAL


def test_import_of_a_harmless_part_of_os_is_as_little_as_of_os(check: Check) -> None:
    assert check("from os import path").is_safe


@pytest.mark.parametrize(
    "code",
    [
        "eval('1')",
        "exec('1')",
        "compile('1', 'x', 'eval')",
        "__import__('json')",
        "open('x')",
        "getattr(__builtins__, 'ev' + 'al')('1')",
        "getattr(__builtins__, ''.join(['e', 'val']))('1')",
        "getattr(__builtins__, 'lave'[::-1])('1')",
        "NAME = chr(101) + 'val'\ngetattr(__builtins__, NAME)('1')",
        "__builtins__.eval('1')",
        "list(map(eval, ['1']))",
        "(lambda f: f('1'))(exec)",
        "@eval\ndef f(): pass",
        "class A:\n    @eval\n    async def f(self):\n        pass",
        "async def f():\n    @exec\n    def g(): pass",
        "from io import open as o\no('x')",
        "exec('1')  # nosec",
        "def f(eval=eval):\n    eval('1')",
        "if False:\n    eval = None\neval('1')",
    ],
)
def test_builtin_that_runs_code_or_opens_files_is_critical(code: str, check: Check) -> None:
    finding = found(check(code, Level.BASIC), "DANGEROUS_BUILTIN_CALL")

    assert finding.severity is Severity.CRITICAL


OS = "system popen spawnv execv fork forkpty kill killpg remove unlink rmdir posix_spawn"
SYS = "exit _exit modules path stdin stdout stderr"
METHODS = [f"import os\nos.{name}" for name in OS.split()]
METHODS += [f"import sys\nsys.{name}" for name in SYS.split()]
METHODS += [f"import subprocess\nsubprocess.{n}" for n in ("call", "run", "Popen", "check_output")]
METHODS += [f"import importlib\nimportlib.{name}('x')" for name in ("import_module", "reload")]


@pytest.mark.parametrize("code", METHODS)
def test_documented_dangerous_method_is_critical(code: str, check: Check) -> None:
    finding = found(check(code, Level.BASIC), "DANGEROUS_METHOD_CALL")

    assert finding.severity is Severity.CRITICAL


@pytest.mark.parametrize(
    "code",
    [
        "import os as o\no.system('x')",
        "from subprocess import run as r\nr('x')",
        "import os\nx = os\nx.system('x')",
        "import os\na, b = os.system, 1\na('x')",
        "import os\ngetattr(os, 'sys' 'tem')('x')",
        "import os\n(y := os).system('x')",
        "import torch\ntorch.os.system('x')",
        "import tempfile\ntempfile._os.system('x')",
        "def f():\n    import os as hidden\n    return hidden.system",
        "class A:\n    import os\n    os.system('x')",
    ],
)
def test_aliases_are_resolved(code: str, check: Check) -> None:
    assert "DANGEROUS_METHOD_CALL" in types(check(code, Level.BASIC))


@pytest.mark.parametrize(
    "code",
    [
        "import shutil\nshutil.rmtree('x')",
        "import asyncio\nasyncio.create_subprocess_shell('x')",
        "import asyncio\nasyncio.create_subprocess_exec('x')",
        "async def f(loop):\n    await loop.subprocess_exec('x')",
        "import asyncio\nasyncio.open_connection('x', 1)",
        "import torch\ntorch.load('x')",
        "import torch\ntorch.load('x', weights_only=False)",
        "import torch\ntorch.load('x', **options)",
        "from torch import load as read\nread('x')",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
        "model.from_pretrained('x', trust_remote_code=True)",
        "model.from_pretrained('x', **{'trust_remote_code': True})",
        "model.from_pretrained('x', trust_remote_code=wanted)",
        "model.from_pretrained('x', custom_pipeline='x')",
        "import torch\ntorch.multiprocessing.spawn(f)",
        "import concurrent.futures\nconcurrent.futures.ProcessPoolExecutor()",
        "import torch.utils.cpp_extension as e\ne.load_inline('x', 'y')",
    ],
)
def test_calls_that_start_or_load_foreign_code_are_refused(code: str, check: Check) -> None:
    report = check(code, Level.BASIC)

    assert "DANGEROUS_METHOD_CALL" in types(report)
    assert not report.is_safe


@pytest.mark.parametrize(
    "code",
    [
        "import torch\ntorch.load('x', weights_only=True)",
        "import numpy as np\nnp.load('x')",
        "model.from_pretrained('x', trust_remote_code=False)",
        "import asyncio\nasyncio.run(f())",
    ],
)
def test_safe_forms_of_such_calls_are_clean(code: str, check: Check) -> None:
    assert not types(check(code))


def test_other_calls_of_os_warn_outside_of_the_main_block(check: Check) -> None:
    served = check("import os\nos.listdir('x')")
    main = check("import os\nif __name__ == '__main__':\n    os.listdir('x')")
    quiet = check("import os\nos.path.join('a', 'b')\nos.environ.get('X')\nos.getenv('X')")

    assert found(served, "OS_CALL").severity is Severity.LOW
    assert served.is_safe
    assert "OS_CALL" not in types(main) | types(quiet)


@pytest.mark.parametrize("mode", ["'exec'", "mode='exec'"])
def test_compiling_code_to_execute_it_is_critical(mode: str, check: Check) -> None:
    finding = found(check(f"compile('1', 'x', {mode})", Level.BASIC), "CODE_COMPILATION")

    assert finding.severity is Severity.CRITICAL


def test_compiling_an_expression_is_not_code_compilation(check: Check) -> None:
    report = check("compile('1', 'x', 'eval')")

    assert not {"CODE_COMPILATION", "CONTENT_PATTERN_MATCH"} & types(report)


@pytest.mark.parametrize(
    "code",
    [
        "import importlib\nimportlib('x')",
        "import importlib.util\nimportlib.util.spec_from_file_location('x', 'y')",
    ],
)
def test_dynamic_import_is_high(code: str, check: Check) -> None:
    assert found(check(code, Level.BASIC), "DYNAMIC_IMPORT").severity is Severity.HIGH


def test_looking_a_version_up_is_no_dynamic_import(check: Check) -> None:
    assert not types(check("import importlib.metadata\nimportlib.metadata.version('x')"))


@pytest.mark.parametrize(
    "text",
    ["__import__('os')", "eval(x)", "exec(x)", "os.system('x')", "subprocess.run('x')"],
)
def test_code_in_a_string_is_high(text: str, check: Check) -> None:
    assert found(check(f'x = "{text}"'), "HIDDEN_CODE_IN_STRING").severity is Severity.HIGH
    assert not check(f'x = f"{text}{{y}}"').is_safe
    assert not check(f'x = "{text[:3]}" + "{text[3:]}"').is_safe


@pytest.mark.parametrize("text", ["model.eval()", "evaluation (of words)", "retrieval(x)"])
def test_words_in_a_string_are_clean(text: str, check: Check) -> None:
    assert not types(check(f'x = "{text}"'))


def test_a_metaclass_warns_unless_it_is_plain(check: Check) -> None:
    own = check("class A(metaclass=M):\n    pass")
    plain = check("import abc\nclass A(metaclass=abc.ABCMeta):\n    pass")

    assert found(own, "METACLASS").severity is Severity.LOW
    assert own.is_safe
    assert not types(plain)


@pytest.mark.parametrize("kind", ["def f(): pass", "async def f(): pass", "class F: pass"])
def test_a_computed_decorator_warns(kind: str, check: Check) -> None:
    report = check(f"@(lambda f: f)\n{kind}\n@table['x']\n{kind}")

    assert [each.violation_type for each in report.warnings] == ["DECORATOR", "DECORATOR"]
    assert report.is_safe


def test_common_decorators_say_nothing(check: Check) -> None:
    code = "import torch\nclass A:\n    @staticmethod\n    def f(): pass\n"
    code += "    @classmethod\n    def g(cls): pass\n    @torch.no_grad()\n    def h(self): pass"

    assert not types(check(code))


@pytest.mark.parametrize(
    "code",
    [
        "Path('/etc/passwd').read_text()",
        "Path('/opt/x').write_text('')",
        "p = Path('/opt') / 'x'\np.read_bytes()",
        "p = '/opt/x'\nPath(p).open()",
        "(Path.home() / 'x').expanduser().read_text()",
        "Path('~/x').expanduser().read_text()",
        "x = '/proc/self/environ'",
    ],
)
def test_files_at_a_fixed_place_are_refused(code: str, check: Check) -> None:
    finding = found(check(f"from pathlib import Path\n{code}"), "FILE_OPERATION")

    assert finding.severity is Severity.HIGH


@pytest.mark.parametrize(
    "code",
    [
        "Path(__file__).with_suffix('').read_text()",
        "Path('prompts.json').read_text()",
        "load(Path('/models/wan'))",
    ],
)
def test_files_of_the_pipeline_may_be_read(code: str, check: Check) -> None:
    assert not types(check(f"from pathlib import Path\n{code}"))


def test_changing_files_warns(check: Check) -> None:
    report = check("import shutil\nshutil.move('a', 'b')\npath.unlink()")

    assert [each.violation_type for each in report.warnings] == ["FILE_OPERATION"] * 2
    assert report.is_safe


@pytest.mark.parametrize("code", ["getattr(x, name)", "globals()", "vars(x)", "setattr(x, y, 1)"])
def test_a_computed_name_warns(code: str, check: Check) -> None:
    report = check(code)

    assert found(report, "DYNAMIC_EXPRESSION").severity is Severity.LOW
    assert report.is_safe


@pytest.mark.parametrize(
    "code",
    [
        "import os\ngetattr(os, name)('x')",
        "import os\nvars(os)['system']('x')",
        "import os\nos.__dict__['system']('x')",
        "getattr(__builtins__, name)('x')",
        "().__class__.__base__.__subclasses__()",
        "f.__globals__",
        "x['__builtins__']",
    ],
)
def test_ways_around_the_check_are_refused(code: str, check: Check) -> None:
    finding = found(check(code, Level.BASIC), "DYNAMIC_EXPRESSION")

    assert finding.severity is Severity.HIGH


def test_getattr_with_a_plain_name_is_clean(check: Check) -> None:
    assert not types(check("import torch\ngetattr(torch, 'float16')"))


def test_a_custom_blocked_pattern_is_high(check: Check) -> None:
    report = check("x = 1\ny = forbidden_word", blocked_patterns=[r"forbidden_\w+"])

    finding = found(report, "CUSTOM_BLOCKED_PATTERN")
    assert (finding.line_number, finding.column, finding.severity) == (2, 5, Severity.HIGH)
    assert check("x = 1", blocked_patterns=[r"forbidden_\w+"]).is_safe


@pytest.mark.parametrize(
    ("code", "test"),
    [
        ("import yaml\nyaml.load(x)", "B506"),
        ("import pandas\npandas.read_pickle('x')", "B301"),
        ("listen('0.0.0.0')", "B104"),
        ("# \N{RIGHT-TO-LEFT OVERRIDE} x", "B613"),
    ],
)
def test_what_bandit_knows_is_refused(code: str, test: str, check: Check) -> None:
    assert found(check(code, Level.BASIC), f"BANDIT_{test}").severity is Severity.HIGH


def test_what_bandit_only_dislikes_is_clean(check: Check) -> None:
    code = "import random\nassert random.random()\ntry:\n    f()\nexcept OSError:\n    pass\n"

    assert not types(check(f"{code}token = 'abc'"))


def test_no_line_is_reported_by_bandit_and_by_us(check: Check) -> None:
    report = check("import pickle\npickle.load(x)\nimport torch\ntorch.load('x')", Level.BASIC)

    ours = {e.line_number for e in report.violations if not e.violation_type.startswith("BANDIT")}
    theirs = {e.line_number for e in report.violations if e.violation_type.startswith("BANDIT")}
    assert not ours & theirs
