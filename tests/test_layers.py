"""The house stands: every import is one that docs/architecture.md allows.

The syntax tree is walked, so imports hidden in functions count as well.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
_PACKAGE = _ROOT / "segdesk"
_DICOM = {"pydicom", "gdcm", "pylibjpeg", "openjpeg", "jpeg_ls", "imagecodecs", "highdicom"}
_BASE = {"errors", "paths"}
_DATA = {"core", "edit", "metrics", "review", "io", "zoo", "store"}


@dataclass(frozen=True)
class _Layer:
    ours: set[str]
    libraries: set[str]


_LAYERS: dict[str, _Layer] = {
    "errors": _Layer(set(), set()),
    "paths": _Layer(set(), {"platformdirs"}),
    "core": _Layer(set(), {"numpy", "scipy", "psygnal"}),
    "edit": _Layer({"core"}, {"numpy", "scipy", "skimage", "cc3d", "edt", "psygnal"}),
    "metrics": _Layer({"core"}, {"numpy", "scipy", "cc3d", "edt", "numba"}),
    "review": _Layer({"core", "metrics"}, {"numpy", "scipy", "cc3d", "edt"}),
    "io": _Layer({"core"}, {"numpy", "nibabel", "SimpleITK", "tifffile", "PIL", "isal", "skimage", *_DICOM}),
    "zoo": _Layer({"core", "io"}, {"numpy", "pydantic", "safetensors"}),
    "store": _Layer({"core", "io", "review", "zoo"}, {"numpy", "sqlalchemy", "alembic"}),
    "nn": _Layer(
        {"core", "metrics", "io", "zoo", "store", "workers"},
        {"numpy", "scipy", "edt", "torch", "monai", "safetensors", "matplotlib", "threadpoolctl"},
    ),
    "workers": _Layer({"core", "io", "zoo"}, {"numpy"}),
    "session": _Layer(_DATA, {"numpy", "psygnal"}),
    "report": _Layer(_DATA, {"numpy", "jinja2", "matplotlib"}),
    "ui": _Layer(
        _DATA | {"session", "workers", "ui"},
        {"numpy", "PySide6", "pyqtgraph", "superqt", "qtawesome", "vtkmodules", "psygnal"},
    ),
    "ui.models": _Layer(_DATA | {"session"}, {"numpy", "psygnal"}),
}
_TOP = {"cli", "app", "api", "demo", "__init__", "__main__"}
"""Modules at the top of the house: they may import everything of ours."""


def _modules() -> list[Path]:
    return sorted(_PACKAGE.rglob("*.py"))


def _layer_of(path: Path) -> str:
    parts = path.relative_to(_PACKAGE).with_suffix("").parts
    return "ui.models" if parts[:2] == ("ui", "models") else parts[0]


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and dotted name of every import outside ``if TYPE_CHECKING`` blocks and inside them alike."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            names = [alias.name for alias in node.names] if node.module == "segdesk" else [""]
            yield from ((node.lineno, f"{node.module}.{name}".rstrip(".")) for name in names)


def _offence(layer: str, name: str) -> str | None:
    root, _, rest = name.partition(".")
    if root == "segdesk":
        target = rest.split(".")[0]
        own = layer.split(".")[0]
        allowed = _LAYERS[layer].ours | _BASE | ({own} if layer != "ui.models" else set())
        if layer == "ui.models" and rest.startswith("ui.models"):
            return None
        return None if target in allowed else f"{layer} may not import segdesk.{rest}"
    if root in sys.stdlib_module_names or root in _LAYERS[layer].libraries:
        return None
    return f"{layer} may not import {root}"


@pytest.mark.parametrize("path", _modules(), ids=lambda p: str(p.relative_to(_ROOT)))
def test_a_module_imports_only_what_its_layer_allows(path: Path) -> None:
    layer = _layer_of(path)
    if layer in _TOP:
        return
    assert layer in _LAYERS, f"{path}: no row in the table of layers"
    offences = [f"{path}:{line}: {text}" for line, name in _imports(path) if (text := _offence(layer, name))]
    assert not offences, "\n".join(offences)


def test_only_nn_imports_torch_and_only_ui_imports_qt() -> None:
    for path in _modules():
        roots = {name.split(".")[0] for _, name in _imports(path)}
        layer = path.relative_to(_PACKAGE).parts[0]
        if layer != "nn":
            assert not roots & {"torch", "monai"}, path
        if layer not in {"ui", "app.py"}:
            assert not roots & {"PySide6", "pyqtgraph", "vtkmodules"}, path


def test_the_check_catches_an_import_hidden_in_a_function(tmp_path: Path) -> None:
    hidden = tmp_path / "hidden.py"
    hidden.write_text("def f():\n    import torch\n    from segdesk.nn import predict\n")
    names = [name for _, name in _imports(hidden)]
    assert names == ["torch", "segdesk.nn"]
    assert all(_offence("core", name) for name in names)


@pytest.mark.parametrize("statement", ["import segdesk", "import segdesk.cli.main", "import segdesk.session"])
def test_importing_loads_neither_qt_nor_torch(statement: str) -> None:
    heavy = "{'torch', 'monai', 'PySide6', 'vtkmodules'}"
    code = f"{statement}; import sys; print(sorted({{m.split('.')[0] for m in sys.modules}} & {heavy}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=_ROOT)
    assert done.stdout.strip() == "[]"


def test_no_module_is_longer_than_400_lines() -> None:
    long = {str(p): n for p in _modules() if (n := len(p.read_text(encoding="utf-8").splitlines())) > 400}
    assert not long
