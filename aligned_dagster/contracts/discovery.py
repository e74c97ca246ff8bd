"""Finding contracts in files."""

from __future__ import annotations

import ast
import glob as globbing
import importlib.util
import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

from aligned_dagster.contracts.feature_view import FeatureView
from aligned_dagster.errors import AlignedError, ContractImportError, DuplicateNameError, did_you_mean
from aligned_dagster.features import types


def contract_files(pattern: str | Path, exclude: str | None = None) -> list[Path]:
    """The Python files that match a glob, sorted; a directory stands for all files below it.

    Raises:
        ContractImportError: nothing matches.
    """
    pattern = os.path.expanduser(str(pattern))
    if os.path.isdir(pattern):
        pattern = os.path.join(pattern, "**", "*.py")
    dropped = set(globbing.glob(exclude, recursive=True)) if exclude else set()
    files = [
        Path(name).resolve()
        for name in globbing.glob(pattern, recursive=True)
        if name.endswith(".py") and name not in dropped
    ]
    if not files:
        raise ContractImportError(
            f"No Python file matches {pattern!r} (looked from {os.getcwd()}). "
            "Check the glob; '**/contract.py' finds files of that name at any depth."
        )
    importlib.invalidate_caches()  # a file may be younger than what is known of its directory
    return sorted(set(files))


def views_in(file: Path) -> list[FeatureView[Any]]:
    """The contracts that a file defines, in their order.

    Raises:
        ContractImportError: the file cannot be imported; the message names the file, the line and the cause.
    """
    _check_classes_once(file)
    module = module_of(file)
    found: dict[int, FeatureView[Any]] = {}
    for value in vars(module).values():
        if isinstance(value, FeatureView) and value.location and _same(value.location.file, file):
            found[id(value)] = value
    return sorted(found.values(), key=lambda view: view.location.line if view.location else 0)


_DECORATORS = ("feature_view", "data_contract", "model_contract")
_CLASS = re.compile(rb"^class\s+(\w+)", re.MULTILINE)


def _check_classes_once(file: Path) -> None:
    """Raise where a file decorates two classes of one name: the second would take the place of the first.

    Raises:
        DuplicateNameError: it does; both lines are named.
    """
    content = file.read_bytes()
    names = _CLASS.findall(content)
    if len(names) == len(set(names)):
        return  # as nearly always, and told without parsing
    try:
        body = ast.parse(content).body
    except (SyntaxError, ValueError):
        return  # its import tells better what is wrong
    lines: dict[str, int] = {}
    for statement in body:
        if isinstance(statement, ast.ClassDef) and any(
            word in ast.unparse(d) for d in statement.decorator_list for word in _DECORATORS
        ):
            if statement.name in lines:
                raise DuplicateNameError(
                    f"Two contracts are classes of the name {statement.name!r}: one ({file}:{lines[statement.name]}), "
                    f"another ({file}:{statement.lineno}). Give one of them another name."
                )
            lines[statement.name] = statement.lineno


def module_of(file: Path) -> ModuleType:
    """The module that a file is, imported under its own name where that leads to it.

    Raises:
        ContractImportError: the file cannot be imported; the message names the file, the line and the cause.
    """
    loaded = _loaded(file)
    if loaded is not None and not getattr(getattr(loaded, "__spec__", None), "_initializing", False):
        return loaded
    root, name = _module_name(file)
    with _first_on_path(root):
        try:
            if name in sys.modules or not _finds(name, file):
                return _execute(file, _own_name(file))
            return importlib.import_module(name)
        except Exception as error:
            raise ContractImportError(_explain(file, error)) from error


def _loaded(file: Path) -> ModuleType | None:
    """The module that was imported from a file: under its dotted name from any directory above it, or as `__main__`."""
    parts = (file.parent if file.name == "__init__.py" else file.with_suffix("")).parts
    names = [".".join(parts[start:]) for start in range(1, len(parts))]
    for name in (*names, _own_name(file), "__main__"):
        module = sys.modules.get(name)
        if module is not None and _same(getattr(module, "__file__", None), file):
            return module
    return None


def _own_name(file: Path) -> str:
    """The name of a file that no name leads to: its stem and a digest of its path."""
    stem = file.parent.name if file.name == "__init__.py" else file.stem
    return f"{stem.rpartition('.')[2]}_{sha256(str(file).encode()).hexdigest()[:8]}"


def _module_name(file: Path) -> tuple[Path, str]:
    """The directory to import from and the dotted name there, by the packages around the file."""
    parts = [] if file.name == "__init__.py" else [file.stem]
    folder = file.parent
    while (folder / "__init__.py").exists():
        parts.insert(0, folder.name)
        folder = folder.parent
    return folder, ".".join(parts)


def _finds(name: str, file: Path) -> bool:
    if _leads_to(name, file):
        return True
    importlib.invalidate_caches()
    return _leads_to(name, file)


def _leads_to(name: str, file: Path) -> bool:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return False
    return spec is not None and _same(spec.origin, file)


def _execute(file: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ContractImportError(f"{file} is no Python module.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


@contextmanager
def _first_on_path(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _explain(file: Path, error: Exception) -> str:
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if _same(frame.filename, file)
    ]
    line = (
        error.lineno
        if isinstance(error, SyntaxError) and _same(error.filename, file)
        else (lines[-1] if lines else None)
    )
    where = f"{file}:{line}" if line else str(file)
    kind = "" if isinstance(error, AlignedError) else f"{type(error).__name__}: "
    told = str(error).removesuffix(f" ({where})")
    return f"The contracts in {where} could not be imported: {kind}{told}{_advice(error)}"


def _advice(error: Exception) -> str:
    """What to do about an error that the file itself does not explain; empty where it does."""
    if isinstance(error, ImportError) and "circular import" in str(error):
        return (
            ". Two files import each other, so their contracts read each other: put what both need into a third file, "
            "or let one of the two read the raw source."
        )
    if isinstance(error, NameError) and error.name:
        hint = did_you_mean(error.name, ["feature_view", "model_contract", "FileSource", *types.__all__])
        return f".{hint} A name is imported, or assigned above the line that uses it"
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f". Install it where this process runs, or correct the name: pip install {error.name.partition('.')[0]}"
    return ""


def _same(name: str | None, file: Path) -> bool:
    return name is not None and os.path.basename(name) == file.name and os.path.realpath(name) == str(file)
