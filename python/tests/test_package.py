"""The package as a whole: its documentation, its names, what importing it costs, its old neighbour."""

import ast
import doctest
import importlib.util
import inspect
import os
import pathlib
import subprocess
import sys

import pytest

import novatrace

ROOT = pathlib.Path(__file__).resolve().parents[2]


def examples_of_the_stub():
    stub = pathlib.Path(novatrace.__file__).with_name("_novatrace.pyi")
    tree = ast.parse(stub.read_text())
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node):
            test = doctest.DocTestParser().get_doctest(
                ast.get_docstring(node), {"novatrace": novatrace}, node.name, str(stub), node.lineno
            )
            if test.examples:
                yield pytest.param(test, id=f"{node.name}:{node.lineno}")


@pytest.mark.parametrize("test", list(examples_of_the_stub()))
def test_the_examples_of_the_stub_are_true(test, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = []
    assert doctest.DocTestRunner().run(test, out=told.append).failed == 0, "".join(told)


def test_everything_public_is_documented_and_exported():
    stub = ast.parse(pathlib.Path(novatrace.__file__).with_name("_novatrace.pyi").read_text())
    documented = {node.name for node in stub.body if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
    exported = set(novatrace.__all__)
    errors = {"TraceError", "TraceFileError", "TraceStateError", "TraceValueError"}
    assert exported - documented - errors == {"__version__"}
    assert all(hasattr(novatrace, name) for name in exported)


def python(code, *, check=True, env=None, args=()):
    environment = {**os.environ, **(env or {})}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *map(str, args)],
        capture_output=True, text=True, check=check, env=environment, timeout=120,
    )


def test_importing_it_imports_little():
    code = "import sys; before = set(sys.modules); import novatrace; print(*sorted(set(sys.modules) - before))"
    modules = python(code).stdout.split()
    heavy = {"asyncio", "inspect", "logging", "numpy", "threading", "typing", "dataclasses", "enum"}
    assert not heavy & set(modules)
    assert len(modules) < 8, modules


@pytest.mark.parametrize("order", ["ours first", "theirs first"])
def test_nova_platform_merges_with_the_hosts_folder(tmp_path, order):
    host = tmp_path / "nova_platform"
    host.mkdir()
    (host / "executor.py").write_text("value = 5\n")
    imports = ["from nova_platform.perfetto_protobuf import _tgen", "from nova_platform import executor"]
    if order == "theirs first":
        imports.reverse()
    code = "\n".join([*imports, "assert executor.value == 5", "_tgen.TraceGenerator"])
    python(code, env={"PYTHONPATH": str(tmp_path)})


def test_nova_platform_is_a_namespace():
    assert importlib.util.find_spec("nova_platform").origin is None


def readme_programs():
    text = (ROOT / "python/README.md").read_text()
    return [block.split("```")[0] for block in text.split("```python\n")[1:]]


@pytest.mark.parametrize("program", readme_programs(), ids=["live", "simulator"])
def test_the_programs_of_the_readme_run(program, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(program, "README", "exec"), {"__name__": "readme"})
    assert list(tmp_path.glob("*.pftrace"))


def test_no_with_swallows_what_is_raised_in_it(tmp_path):
    # `None` and not `bool`: a checker takes the latter for "may swallow", and asks for a return after the `with`.
    stub = ast.parse(pathlib.Path(novatrace.__file__).with_name("_novatrace.pyi").read_text())
    exits = {
        node.name: ast.unparse(method.returns)
        for node in stub.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
        for method in node.body if isinstance(method, ast.FunctionDef) and method.name == "__exit__"
    }
    assert exits == {"Session": "None", "Span": "None", "TraceGenerator": "None"}
    with novatrace.TraceGenerator(tmp_path / "a") as trace, novatrace.open(tmp_path / "b") as session:
        with novatrace.trace("x") as span:
            pass
        assert [thing.__exit__(None, None, None) for thing in (span, session, trace)] == [None] * 3


def test_paths_are_texts_as_the_stub_says(path):
    with novatrace.TraceGenerator(path) as trace, novatrace.open(f"{path}.live") as session:
        assert (trace.path, session.path) == (str(path), f"{path}.live")


def test_help_says_what_the_stub_says():
    stub = ast.parse(pathlib.Path(novatrace.__file__).with_name("_novatrace.pyi").read_text())
    public = [node for node in stub.body if getattr(node, "name", "_") in novatrace.__all__]
    texts, undocumented = {}, set()
    for node in public:
        within = node.body if isinstance(node, ast.ClassDef) else []
        texts[node.name] = ast.get_docstring(node) or texts.get(node.name)
        for method in within:
            if isinstance(method, ast.FunctionDef) and not method.name.startswith("__"):
                name = f"{node.name}.{method.name}"
                texts[name] = ast.get_docstring(method) or texts.get(name)
    for name, text in texts.items():
        described = novatrace
        for part in name.split("."):
            described = getattr(described, part)
        if text is None:
            undocumented.add(name)
        assert inspect.getdoc(described) == text, name
    assert not undocumented
    assert len(texts) > 70
