"""GDCM, for the one kind of stream that pydicom's plugins cannot decode: JPEG Extended of 12 bits.

GDCM gets a file made for it that holds nothing but the pixels: on damaged or odd elements
elsewhere in a file it allocates gigabytes, or ends the process.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import SimpleITK
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, SecondaryCaptureImageStorage

from segdesk.io.dicom.encoded_frames import cannot_decode
from segdesk.io.dicom.model import Instance
from segdesk.io.dicom.values import DAMAGED_FILE

_ANY_UID = UID("1.2.3")


def decoded_by_gdcm(dataset: Dataset, instance: Instance) -> NDArray[Any]:
    """Decode the one grey frame of a file.

    Parameters
    ----------
    dataset : Dataset
        With the pixel data.
    instance : Instance

    Returns
    -------
    ndarray, shape (rows, columns)
        Stored values.

    Raises
    ------
    ReadError
        ``bad_pixels`` when GDCM cannot decode them either.
    """
    layout = instance.layout
    refusal = cannot_decode(instance.path)
    if layout.samples != 1 or layout.frames != 1 or layout.is_float:
        raise refusal
    with tempfile.TemporaryDirectory(prefix="segdesk-") as folder:
        path = Path(folder, "pixels.dcm")
        try:
            _pixels_alone(dataset, instance).save_as(path, enforce_file_format=True)
            reader = SimpleITK.ImageFileReader()
            reader.SetImageIO("GDCMImageIO")
            reader.SetFileName(str(path))
            image = SimpleITK.GetArrayFromImage(reader.Execute())
        except (*DAMAGED_FILE, RuntimeError) as error:
            raise refusal from error
    if image.size != layout.rows * layout.columns:
        raise refusal
    stored: NDArray[Any] = image.reshape(layout.rows, layout.columns)
    return stored


def _pixels_alone(dataset: Dataset, instance: Instance) -> FileDataset:
    """Return a file with the pixels and what describes them, without a rescale: GDCM would apply it."""
    layout = instance.layout
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = UID(layout.transfer_syntax)
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = SecondaryCaptureImageStorage, _ANY_UID
    alone = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    alone.SOPClassUID, alone.SOPInstanceUID = SecondaryCaptureImageStorage, _ANY_UID
    alone.SamplesPerPixel, alone.PhotometricInterpretation = 1, "MONOCHROME2"
    alone.Rows, alone.Columns = layout.rows, layout.columns
    alone.BitsAllocated, alone.BitsStored = layout.bits_allocated, layout.bits_stored
    alone.HighBit, alone.PixelRepresentation = layout.high_bit, int(layout.is_signed)
    alone.PixelData = dataset.PixelData
    alone["PixelData"].VR = "OB"
    alone["PixelData"].is_undefined_length = layout.data_offset < 0
    return alone
