"""Network shares: SQLite's locks do not hold there, so no project is opened on one."""

from __future__ import annotations

import re
from pathlib import Path

from segdesk.errors import StoreError

NETWORK_TYPES = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "fuse.sshfs", "fuse.davfs"})
"""File system types, as the kernel names them, on which file locks cannot be trusted."""

_MOUNTS = Path("/proc/self/mounts")


def refuse_network_share(folder: Path, mounts: Path = _MOUNTS) -> None:
    """Raise StoreError when the folder lies on a network share, as far as the system tells."""
    kind = _file_system(folder.absolute(), mounts)
    if kind in NETWORK_TYPES:
        raise StoreError(
            f"{folder.name!r} lies on a network share ({kind}), where a project can be damaged; "
            "use a local folder and exchange case packages.",
            path=folder,
        )


def _file_system(folder: Path, mounts: Path) -> str:
    """Return the type of the innermost mount around `folder`, "" when it is not known."""
    try:
        lines = mounts.read_text(errors="surrogateescape").splitlines()
    except OSError:
        # Only Linux lists its mounts here.
        return ""
    best, kind = -1, ""
    for line in lines:
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        # The kernel writes spaces and tabs in mount points as three octal digits.
        point = Path(re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), fields[1]))
        if folder.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), fields[2]
    return kind
