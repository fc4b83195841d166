"""Real series with a reference, and where a reference is known to differ.

Import as ``from tests.io.oracle_lists import GOLDEN``; `benchmarks/oracles.py` prints the comparison.
"""

from __future__ import annotations

GOLDEN = (
    "anatomical/001", "ge/anatomical/001", "ge/anatomical/001_implicit", "ge/anatomical/001_single_slice",
    "generic/anatomical/001", "generic/anatomical/002_non_isotropic", "generic/compressed_j2k/001",
    "generic/compressed_jpeg/001", "generic/compressed_jpegls/001", "generic/compressed_rle/001", "generic/rgb/001",
    "siemens/anatomical/001", "siemens/fmri_classic/001", "philips/fmri/001", "philips_enhanced/fmri/001",
    "hitachi/anatomical/001", "failing/slicecount/001",
)  # fmt: skip
"""Folders of dicom-small-golden; the truth lies beside each as NAME_ground_truth.nii.gz."""

REFERENCES = (
    ("dcm_qa/In/Orientation/ax/axasc35", "dcm_qa/Ref/ax_asc_35sl_6.nii"),
    ("dcm_qa/In/Orientation/ax/axint36", "dcm_qa/Ref/ax_int_36sl_12.nii"),
    ("dcm_qa/In/Orientation/cor/cordesc36", "dcm_qa/Ref/cor_desc_36sl_14.nii"),
    ("dcm_qa/In/Orientation/sag/sagint36", "dcm_qa/Ref/sag_int_36sl_21.nii"),
    ("dcm_qa/In/Orientation/axmb/AxAsc36mb2a", "dcm_qa/Ref/fMRI_MB_asc_25.nii"),
    ("dcm_qa_12bit/In/12bitUnsigned.dcm", "dcm_qa_12bit/Ref/2.nii"),
    ("dcm_qa_12bit/In/12bitUnsigned_0x0F0F.dcm", "dcm_qa_12bit/Ref/3.nii"),
    ("dcm_qa_12bit/In/12bitSigned_0x0F0F.dcm", "dcm_qa_12bit/Ref/4.nii"),
    ("dcm_qa_enh/In/Siemens/XA10", "dcm_qa_enh/Ref/Siemens_REST1_w_SMS_PF7-8_6.nii"),
)
"""Series of dicom-qa and the NIfTI that its authors made of it."""

DCM2NIIX_DIFFERS = {
    "generic/anatomical/002_non_isotropic": "each slice has its own slope; dcm2niix uses the first (its issue 978)",
    "philips_enhanced/fmri/001": "slices lie 3.3125 mm apart; dcm2niix uses SliceThickness, 3.313",
    "ge/anatomical/001_single_slice": "one slice has no step; dcm2niix takes the thickness",
}
"""Folders of dicom-small-golden; their ground truths agree with us."""
