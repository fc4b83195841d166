"""Which device a network runs on, and what running out of its memory looks like."""

from __future__ import annotations

import re

import torch

from segdesk.errors import ModelError


def resolve_device(name: str) -> torch.device:
    """Return the device of "auto", "cpu", "cuda" or "cuda:N".

    Raises
    ------
    ModelError
        If there is no such device (code ``device_unavailable``).
    """
    if name == "auto":
        return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    if name == "cpu":
        return torch.device("cpu")
    match = re.fullmatch(r"cuda(?::(\d{1,3}))?", name)
    if match is None:
        raise ModelError(f"There is no device {name[:40]!r}; use auto, cpu, cuda or cuda:N.", code="device_unavailable")
    index, count = int(match[1] or 0), torch.cuda.device_count()
    if index >= count:
        have = f"{count} GPU(s) are there" if count else "no GPU is there"
        raise ModelError(f"Device {name} is not available ({have}); use auto or cpu.", code="device_unavailable")
    return torch.device("cuda", index)


def device_title(device: torch.device) -> str:
    """Return "cpu" or "cuda:0 (NVIDIA ...)", for manifests."""
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


def is_out_of_memory(exc: BaseException) -> bool:
    """Whether an error of torch or Python means that memory ran out."""
    if isinstance(exc, MemoryError | torch.cuda.OutOfMemoryError):
        return True
    # The CPU allocator and cuDNN raise bare RuntimeErrors; these are their texts in torch 2.x.
    text = str(exc)
    known = ("not enough memory", "can't allocate memory", "out of memory", "CUDNN_STATUS_ALLOC_FAILED")
    return isinstance(exc, RuntimeError) and any(part in text for part in known)
