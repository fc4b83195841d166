"""How much memory a run took at most."""

from __future__ import annotations

from pathlib import Path

import torch

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def start_measuring(device: torch.device) -> None:
    """Forget earlier peaks, as far as the system allows it."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    try:
        # "5" resets VmHWM to the present size (proc(5)).
        _CLEAR.write_text("5")
    except OSError:
        return


def peak_memory_mib(device: torch.device) -> float | None:
    """Return the peak since `start_measuring`: of the GPU there, of the process on a CPU; None if unknown."""
    if device.type == "cuda":
        return round(torch.cuda.max_memory_allocated(device) / (1 << 20), 1)
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    peak_kib = next((line.split()[1] for line in lines if line.startswith("VmHWM:")), None)
    return None if peak_kib is None else round(int(peak_kib) / 1024, 1)
