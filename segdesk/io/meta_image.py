"""MetaImage (.mha, .mhd) through SimpleITK, with a look at the header first."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from segdesk.core.box import Index3
from segdesk.core.geometry import Geometry
from segdesk.core.progress import Progress, silent
from segdesk.core.volume import IntensityUnit, Volume
from segdesk.errors import ReadError, Warn
from segdesk.io.limits import MAX_DEFLATE_RATIO, file_bytes, require_size
from segdesk.io.nifti import nan_warning

_IMAGE_IO = "MetaImageIO"
_MAX_HEADER_BYTES = 1 << 16
_ITEM_BYTES = {
    "MET_CHAR": 1, "MET_UCHAR": 1, "MET_SHORT": 2, "MET_USHORT": 2, "MET_INT": 4, "MET_UINT": 4, "MET_LONG": 4,
    "MET_ULONG": 4, "MET_LONG_LONG": 8, "MET_ULONG_LONG": 8, "MET_FLOAT": 4, "MET_DOUBLE": 8,
}  # fmt: skip
"""Bytes of an element (MetaIO's metaTypes.h)."""


@dataclass(frozen=True, slots=True)
class MetaFile:
    """A file whose header was read.

    Parameters
    ----------
    path, data_path : Path
        Header, and where the voxels are (the same file, or one beside it).
    geometry : Geometry
        Of one time point.
    time_points, samples : int
    dtype : numpy dtype
    image_bytes : int
        Of all voxels.
    warnings : tuple of Warn
    """

    path: Path
    data_path: Path
    geometry: Geometry
    time_points: int
    samples: int
    dtype: np.dtype[Any]
    image_bytes: int
    warnings: tuple[Warn, ...]


def open_meta(path: Path) -> MetaFile:
    """Read the header; raises `ReadError`."""
    keys = _keys(path)
    data_path = _data_path(keys, path)
    needed = _require_held(keys, data_path, path)
    reader = _reader(path)
    try:
        reader.ReadImageInformation()
        size, samples = reader.GetSize(), reader.GetNumberOfComponents()
        dtype = np.dtype(SimpleITK.extra._get_numpy_dtype(_one_voxel(reader)))
    except (RuntimeError, KeyError) as error:
        raise _damaged(path) from error
    if not 2 <= len(size) <= 4 or min(size) < 1:
        raise ReadError(f"{path.name} has {len(size)} axes; images of 2 to 4 axes are read.", path=path)
    if samples not in (1, 3, 4) or (samples > 1 and dtype != np.uint8):
        raise ReadError(f"{path.name} holds vectors, not an image.", code="not_an_image", path=path)
    geometry = _geometry(reader, size, "elementspacing" in keys or "elementsize" in keys)
    warnings = [] if geometry.spacing_known else [Warn("spacing_unknown", "The file gives no voxel size.")]
    if geometry.orientation_known and _contradicts_itself(keys):
        geometry = replace(geometry, orientation_known=False)
        letters = keys["anatomicalorientation"]
        text = f"The file calls its axes {letters} but gives no directions for them: left and right are not known."
        warnings.append(Warn("orientation_unknown", text))
    time_points = size[3] if len(size) == 4 else 1
    return MetaFile(path, data_path, geometry, time_points, samples, dtype, needed, tuple(warnings))


def read_meta(file: MetaFile, report: Progress = silent) -> Volume:
    """Read the voxels; raises `ReadError` (``truncated``) when they are not all there."""
    report(0, 1, file.path.name)
    require_size(file.path, file.image_bytes, file_bytes([file.data_path]))
    try:
        image = _reader(file.path).Execute()
    except RuntimeError as error:
        raise _damaged(file.path) from error
    array = SimpleITK.GetArrayFromImage(image)
    shape: tuple[int, ...] = file.geometry.shape_kji
    shape = (file.time_points, *shape) if file.time_points > 1 else shape
    shape = (*shape, file.samples) if file.samples > 1 else shape
    array = array.reshape(shape)
    if file.samples > 1:
        array = np.ascontiguousarray(array[..., :3])
    report(1, 1, file.path.name)
    return Volume(
        array,
        file.geometry,
        unit=IntensityUnit.RGB if file.samples > 1 else IntensityUnit.ARBITRARY,
        time_points=file.time_points,
        warnings=(*file.warnings, *nan_warning(array)),
        source_path=str(file.path),
    )


def write_meta(path: Path, array: NDArray[Any], geometry: Geometry, *, is_rgb: bool = False) -> None:
    """Write (K, J, I[, 3]) voxels as a compressed .mha; the grid must not be sheared.

    One slice without known sides becomes a 2D image, which says nothing of the patient.
    """
    if geometry.orientation_known:
        image = SimpleITK.GetImageFromArray(array, isVector=is_rgb)
        directions = geometry.directions_lps[:, ::-1]
        image.SetSpacing(tuple(float(s) for s in geometry.spacing_kji_mm[::-1]))
        image.SetDirection(tuple(float(x) for x in directions.ravel()))
        image.SetOrigin(tuple(float(x) for x in geometry.affine_kji_to_lps[:3, 3]))
    else:
        image = SimpleITK.GetImageFromArray(array[0], isVector=is_rgb)
        image.SetSpacing(tuple(float(s) for s in geometry.spacing_kji_mm[:0:-1]))
    image.SetMetaData("GeometrySource", geometry.source)
    writer = SimpleITK.ImageFileWriter()
    writer.SetImageIO(_IMAGE_IO)
    writer.SetFileName(str(path))
    writer.UseCompressionOn()
    try:
        writer.Execute(image)
    except RuntimeError as error:
        raise OSError(f"SimpleITK could not write {path.name}") from error


def _reader(path: Path) -> Any:
    reader = SimpleITK.ImageFileReader()
    reader.SetImageIO(_IMAGE_IO)
    reader.SetFileName(str(path))
    return reader


def _one_voxel(reader: Any) -> Any:
    """Return an image of one voxel of the file's type, to ask for its NumPy type."""
    return SimpleITK.Image([1, 1], reader.GetPixelID(), reader.GetNumberOfComponents())


def _keys(path: Path) -> dict[str, str]:
    """Return the header's lines up to ElementDataFile, keys in lower case."""
    keys: dict[str, str] = {}
    try:
        with path.open("rb") as file:
            head = file.read(_MAX_HEADER_BYTES)
    except OSError as error:
        raise ReadError(f"{path.name} cannot be read: {error.strerror}.", path=path) from error
    for line in head.split(b"\n"):
        key, separator, value = line.partition(b"=")
        if not separator:
            break
        keys[key.strip().lower().decode("latin-1")] = value.strip().decode("latin-1")
        if key.strip().lower() == b"elementdatafile":
            return keys
    raise ReadError(f"{path.name} ends inside its MetaImage header.", code="truncated", path=path)


def _contradicts_itself(keys: dict[str, str]) -> bool:
    """Whether axes are named but have no directions, which ITK then takes to be LPS ("RAI": whence they come)."""
    has_directions = any(key in keys for key in ("transformmatrix", "rotation", "orientation"))
    return not has_directions and keys.get("anatomicalorientation", "???").upper() not in ("RAI", "???", "")


def _data_path(keys: dict[str, str], path: Path) -> Path:
    """Return where the voxels are; refuses data in other folders or many files, and missing ones."""
    name = keys["elementdatafile"]
    if name.upper() in ("LOCAL", "LOCALFILE"):
        return path
    if name.upper().startswith("LIST") or "%" in name or Path(name).name != name:
        raise ReadError(f"{path.name} points at data outside its folder or in many files.", path=path)
    if not path.with_name(name).is_file():
        raise ReadError(f"{path.name} needs {name} beside it, which is missing.", path=path)
    return path.with_name(name)


def _require_held(keys: dict[str, str], data_path: Path, path: Path) -> int:
    """Return the bytes that the header promises, before ITK sees it; refuses what the file cannot hold."""
    try:
        sizes = [int(part) for part in keys["dimsize"].split()]
        samples = int(keys.get("elementnumberofchannels", "1"))
        itemsize = _ITEM_BYTES[keys["elementtype"].upper().removesuffix("_ARRAY")]
    except (KeyError, ValueError) as error:
        raise ReadError(f"{path.name} has a damaged MetaImage header.", path=path) from error
    if min(*sizes, samples) < 1:
        raise ReadError(f"{path.name} has impossible sizes.", path=path)
    needed, stored = math.prod(sizes) * samples * itemsize, file_bytes([data_path])
    is_compressed = keys.get("compresseddata", "").lower().startswith("t")
    is_text = keys.get("binarydata", "true").lower().startswith("f")
    # As text a value takes a digit and a blank at least.
    held = needed * 2 // itemsize - 1 if is_text else needed
    if held > stored * (MAX_DEFLATE_RATIO if is_compressed else 1):
        raise _damaged(path)
    return needed


def _geometry(reader: Any, size: tuple[int, ...], spacing_known: bool) -> Geometry:
    """Return the LPS grid of the first three axes; a 2D image lies in the axial plane."""
    n = len(size)
    direction = np.array(reader.GetDirection()).reshape(n, n)
    linear, origin = np.eye(3), np.zeros(3)
    m = min(n, 3)
    linear[:m, :m] = direction[:m, :m] * np.array(reader.GetSpacing())[:m]
    origin[:m] = np.array(reader.GetOrigin())[:m]
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = linear[:, ::-1], origin
    shape_kji: Index3 = (size[2] if n > 2 else 1, size[1], size[0])
    return Geometry(shape_kji, affine, orientation_known=n > 2, spacing_known=spacing_known, source="MetaImage header")


def _damaged(path: Path) -> ReadError:
    return ReadError(f"{path.name} is damaged or truncated; copy it again.", code="truncated", path=path)
