"""NRRD headers: the text before the blank line, checked and translated to LPS.

Format: teem.sourceforge.net/nrrd/format.html.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segdesk.core.box import Index3
from segdesk.core.geometry import Geometry
from segdesk.errors import ReadError, Warn

MAX_HEADER_BYTES = 1 << 22

_TYPES: dict[type[np.generic], tuple[str, ...]] = {
    np.int8: ("signed char", "int8", "int8_t"),
    np.uint8: ("uchar", "unsigned char", "uint8", "uint8_t"),
    np.int16: ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    np.uint16: ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    np.int32: ("int", "signed int", "int32", "int32_t"),
    np.uint32: ("uint", "unsigned int", "uint32", "uint32_t"),
    np.int64: (
        "longlong",
        "long long",
        "long long int",
        "signed long long",
        "signed long long int",
        "int64",
        "int64_t",
    ),
    np.uint64: ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    np.float32: ("float",),
    np.float64: ("double",),
}
_TYPE_NAMED: dict[str, type[np.generic]] = {name: kind for kind, names in _TYPES.items() for name in names}

_LPS_SIGNS = {
    "right-anterior-superior": (-1, -1, 1), "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1), "las": (1, -1, 1),
    "left-posterior-superior": (1, 1, 1), "lps": (1, 1, 1),
    "right-anterior-superior-time": (-1, -1, 1), "rast": (-1, -1, 1),
    "left-anterior-superior-time": (1, -1, 1), "last": (1, -1, 1),
    "left-posterior-superior-time": (1, 1, 1), "lpst": (1, 1, 1),
}  # fmt: skip
"""Anatomical spaces -> signs that turn their axes into LPS."""

_COLOUR_KINDS = ("rgb-color", "3-color", "rgba-color", "4-color")
_LIST_KINDS = ("list", "time", "vector", *_COLOUR_KINDS)


@dataclass(frozen=True, slots=True)
class NrrdHeader:
    """A checked NRRD header.

    Parameters
    ----------
    geometry : Geometry
        Of the three spatial axes.
    sizes : tuple of int
        Fastest axis first, all axes.
    list_axis : int or None
        Index into `sizes` of the axis that is no direction in space (layers, time, colour).
    list_kind : str
        Its kind ("list", "rgb-color"...), "" without one.
    dtype : numpy dtype
        In the file's byte order.
    encoding : str
        "raw", "gzip", "bzip2" or "ascii".
    data_file : str or None
        Detached data, a plain name in the same folder.
    line_skip, byte_skip : int
        To leave out before the data.
    keys : mapping
        Key/value pairs (``key:=value``), as in .seg.nrrd.
    header_size : int
        First byte after the header.
    """

    geometry: Geometry
    sizes: tuple[int, ...]
    list_axis: int | None
    list_kind: str
    dtype: np.dtype[np.generic]
    encoding: str
    data_file: str | None
    line_skip: int
    byte_skip: int
    keys: Mapping[str, str]
    header_size: int
    warnings: tuple[Warn, ...] = ()

    @property
    def is_rgb(self) -> bool:
        """Whether the list axis holds colours; ITK names those of RGB pixels a vector of bytes.

        A "list" never is: it is Slicer's word for time points and layers.
        """
        if self.list_axis is None or self.list_kind.endswith("color"):
            return self.list_kind.endswith("color")
        return self.list_kind.endswith("vector") and self.dtype == np.uint8 and self.sizes[self.list_axis] in (3, 4)


def parse_nrrd_header(head: bytes, path: Path) -> NrrdHeader:
    """Check and translate a header.

    Raises
    ------
    ReadError
        When it is cut, misses a required field, or holds what segdesk cannot place.
    """
    fields, keys, size = _split(head, path)
    try:
        return _translate(fields, keys, size, path)
    except (ValueError, KeyError, IndexError, OverflowError) as error:
        raise ReadError(f"{path.name} has a damaged NRRD header ({error}).", path=path) from error


def _split(head: bytes, path: Path) -> tuple[dict[str, str], dict[str, str], int]:
    """Return fields, key/value pairs, and where the data begin."""
    ended = re.search(rb"\r?\n\r?\n", head)
    is_detached_without_blank = ended is None and b"data file:" in head.lower() and len(head) < MAX_HEADER_BYTES
    if ended is None and not is_detached_without_blank:
        raise ReadError(f"{path.name} ends inside its NRRD header.", code="truncated", path=path)
    size = ended.end() if ended else len(head)
    fields: dict[str, str] = {}
    keys: dict[str, str] = {}
    for line in head[:size].decode("utf-8", "replace").splitlines()[1:]:
        if line.startswith("#"):
            continue
        key, separator, value = line.partition(":=")
        if separator:
            keys[key] = _unescaped(value)
            continue
        key, separator, value = line.partition(":")
        if separator:
            fields[key.strip().lower().replace("centerings", "centers")] = value.strip()
    return fields, keys, size


def _unescaped(value: str) -> str:
    """Resolve escapes from the left, so that an escaped backslash before an n stays one."""
    return re.sub(r"\\([n\\])", lambda found: "\n" if found[1] == "n" else "\\", value)


def _translate(fields: dict[str, str], keys: dict[str, str], size: int, path: Path) -> NrrdHeader:
    sizes = tuple(int(n) for n in fields["sizes"].split())
    if len(sizes) != int(fields["dimension"]) or not 2 <= len(sizes) <= 4 or min(sizes) < 1:
        raise ReadError(f"{path.name} has sizes {sizes}: images of 2 to 4 axes are read.", path=path)
    kinds = [kind.lower() for kind in fields.get("kinds", "").split()] or ["domain"] * len(sizes)
    list_axis = _list_axis(fields, kinds, sizes, path)
    geometry, warnings = _geometry(fields, sizes, list_axis, path)
    data_file = fields.get("data file", fields.get("datafile"))
    if data_file is not None:
        # teem writes "./" before a name that is relative to the header.
        data_file = data_file.removeprefix("./")
        _require_plain_name(data_file, path)
    return NrrdHeader(
        geometry,
        sizes,
        list_axis,
        kinds[list_axis] if list_axis is not None else "",
        np.dtype(_type(fields["type"], path)).newbyteorder(">" if fields.get("endian", "little") == "big" else "<"),
        _encoding(fields.get("encoding", "raw"), path),
        data_file,
        int(fields.get("line skip", fields.get("lineskip", "0"))),
        int(fields.get("byte skip", fields.get("byteskip", "0"))),
        keys,
        size,
        warnings,
    )


def _type(name: str, path: Path) -> type[np.generic]:
    if name.lower() not in _TYPE_NAMED:
        raise ReadError(f"{path.name} holds NRRD type {name!r}, which is no image.", path=path)
    return _TYPE_NAMED[name.lower()]


def _encoding(name: str, path: Path) -> str:
    known = {
        "raw": "raw",
        "gz": "gzip",
        "gzip": "gzip",
        "bz2": "bzip2",
        "bzip2": "bzip2",
        "txt": "ascii",
        "text": "ascii",
    }
    known["ascii"] = "ascii"
    if name.lower() not in known:
        raise ReadError(f"{path.name} uses NRRD encoding {name!r}; save it as raw or gzip.", path=path)
    return known[name.lower()]


def _require_plain_name(name: str, path: Path) -> None:
    """Refuse lists of files and other folders: a header may only point at one file beside itself."""
    if name.upper().startswith("LIST") or "%" in name or Path(name).name != name or name in ("", ".", ".."):
        raise ReadError(f"{path.name} points at data outside its folder or in many files.", path=path)


def _list_axis(fields: dict[str, str], kinds: list[str], sizes: tuple[int, ...], path: Path) -> int | None:
    """Find the one axis that is no direction in space."""
    directions = _vectors(fields.get("space directions", ""))
    if len(kinds) != len(sizes) or (directions and len(directions) != len(sizes)):
        raise ReadError(f"{path.name} has another number of kinds or directions than axes.", path=path)
    lists = [axis for axis, vector in enumerate(directions) if vector is None]
    lists = lists or [
        axis for axis, kind in enumerate(kinds) if kind in _LIST_KINDS or kind.endswith(("color", "vector"))
    ]
    if not lists and len(sizes) == 4:
        lists = [3]
    if len(lists) > 1 or len(sizes) - len(lists) > 3:
        raise ReadError(f"{path.name} has several axes that are no directions in space.", path=path)
    return lists[0] if lists else None


def _vectors(text: str) -> list[NDArray[np.float64] | None]:
    """Parse "(1,0,0) none (0,1,0)"."""
    found: list[NDArray[np.float64] | None] = []
    for item in re.findall(r"\([^)]*\)|none", text):
        found.append(None if item == "none" else np.array([float(x) for x in item[1:-1].split(",")]))
    return found


def _geometry(
    fields: dict[str, str], sizes: tuple[int, ...], list_axis: int | None, path: Path
) -> tuple[Geometry, tuple[Warn, ...]]:
    spatial = [n for axis, n in enumerate(sizes) if axis != list_axis]
    shape_kji: Index3 = (spatial[2] if len(spatial) > 2 else 1, spatial[1] if len(spatial) > 1 else 1, spatial[0])
    signs = _LPS_SIGNS.get(fields.get("space", "").lower())
    columns = [v for v in _vectors(fields.get("space directions", "")) if v is not None]
    if signs is None or len(columns) != len(spatial) or any(v.size != 3 for v in columns):
        return _unplaced(fields, shape_kji, list_axis)
    if len(columns) == 2:
        columns.append(np.cross(columns[0], columns[1]) / np.linalg.norm(columns[1]))
    origin = (_vectors(fields.get("space origin", "")) or [np.zeros(3)])[0]
    if origin is None or origin.size != 3:
        raise ReadError(f"{path.name} has a damaged space origin.", code="bad_geometry", path=path)
    if not np.isfinite([*columns, origin]).all():
        raise ReadError(f"{path.name} has NaN or infinite space directions.", code="bad_geometry", path=path)
    affine = np.eye(4)
    affine[:3, :3] = np.stack(columns[::-1], axis=1)
    affine[:3, 3] = origin
    scale = np.diag([*(np.array(signs) * _unit_mm(fields)), 1.0])
    geometry = Geometry(shape_kji, scale @ affine, source="NRRD space directions")
    warnings = (Warn("sheared", "The space directions hold a shear; it is kept."),) if geometry.is_sheared else ()
    return geometry, warnings


def _unit_mm(fields: dict[str, str]) -> float:
    units = re.findall(r'"([^"]*)"', fields.get("space units", ""))
    return {"m": 1000.0, "cm": 10.0, "um": 1e-3, "µm": 1e-3}.get(units[0], 1.0) if units else 1.0


def _unplaced(fields: dict[str, str], shape_kji: Index3, list_axis: int | None) -> tuple[Geometry, tuple[Warn, ...]]:
    """Without an anatomical space: spacings if there are some, sides unknown."""
    lengths = [float(np.linalg.norm(v)) for v in _vectors(fields.get("space directions", "")) if v is not None]
    if not lengths and "spacings" in fields:
        all_spacings = [float(x) for x in fields["spacings"].split()]
        lengths = [abs(x) for axis, x in enumerate(all_spacings) if axis != list_axis]
    is_known = len(lengths) >= 2 and bool(np.all(np.isfinite(lengths)) and min(lengths) > 0)
    spacing = [*lengths, 1.0][:3] if is_known else [1.0, 1.0, 1.0]
    plain = Geometry.from_spacing(shape_kji, (spacing[2], spacing[1], spacing[0]))
    warnings = [Warn("orientation_unknown", "The file names no anatomical space: left and right are not known.")]
    if not is_known:
        warnings.append(Warn("spacing_unknown", "The file gives no voxel size; lengths are in voxels."))
    return Geometry(shape_kji, plain.affine_kji_to_lps, False, is_known, "none"), tuple(warnings)
