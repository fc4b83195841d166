"""Which files make up a case: one image, named channels, or a folder of cases."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from segdesk.cli.files import require_exists, stem_of
from segdesk.errors import ModelError, ReadError, UsageError
from segdesk.io.formats import Format, sniff

_NUMBERED = re.compile(r"^(?P<case>.+)_(?P<channel>\d{4})$")
"""nnU-Net's names: ``case_0000.nii.gz`` is the first channel of the case."""


@dataclass(frozen=True, slots=True)
class CaseFiles:
    """A case: its name and one path per channel, in the model's order."""

    name: str
    channels: Mapping[str, Path]


def single_case(source: Path, named: Sequence[str], channels: Sequence[str]) -> CaseFiles:
    """Return the case made of `source` and the ``NAME=FILE`` words in `named`.

    `source` is the channel that no word names. Files are also looked for in `source`, when it is a
    folder and every channel is named.

    Raises
    ------
    ModelError
        Code ``wrong_channels``: a channel of the model is missing, or a name is not one of its.
    """
    require_exists(source)
    given = dict(_named_channel(word, channels) for word in named)
    if source.is_dir():
        given = {name: path if path.exists() else source / path for name, path in given.items()}
    missing = [name for name in channels if name not in given]
    if len(missing) == 1:
        given[missing[0]] = source
    elif missing:
        wanted = " ".join(f"--channel {name}=FILE" for name in missing[1:])
        raise _wrong(f"The model reads {', '.join(channels)}; {source.name} is the first missing one: add {wanted}.")
    elif not source.is_dir() and source not in given.values():
        raise _wrong(f"All channels are named, so {source.name} would not be used; name it, or leave one channel out.")
    require_exists(*given.values())
    return CaseFiles(stem_of(source), {name: given[name] for name in channels})


def find_cases(folder: Path, channels: Sequence[str]) -> tuple[list[CaseFiles], list[Path]]:
    """Return the cases in a folder, by name, and the files that are no images.

    One channel: every image file and every sub-folder is a case; a folder of DICOM files is one case.
    More: ``case_0000.nii.gz`` and so on, or sub-folders with a file per channel name.
    """
    entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    kinds = {path: _kind(path) for path in entries if path.is_file()}
    skipped = [path for path, kind in kinds.items() if kind is None]
    if any(kind is Format.DICOM for kind in kinds.values()):
        return [CaseFiles(folder.resolve().name, _only_channel(folder, channels))], skipped
    images = [path for path in entries if path.is_dir() or kinds.get(path)]
    if len(channels) == 1:
        return [CaseFiles(_case_name(path), {channels[0]: path}) for path in images], skipped
    return list(_several(images, channels)), skipped


def _named_channel(word: str, channels: Sequence[str]) -> tuple[str, Path]:
    name, separator, path = word.partition("=")
    if not separator or not path:
        raise UsageError(f"--channel {word}: write NAME=FILE.")
    if name not in channels:
        raise _wrong(f"The model has no channel {name!r}; it reads {', '.join(channels)}.")
    return name, Path(path)


def _kind(path: Path) -> Format | None:
    try:
        return sniff(path)
    except ReadError:
        return None


def _only_channel(folder: Path, channels: Sequence[str]) -> Mapping[str, Path]:
    if len(channels) > 1:
        raise _wrong(f"{folder.name} holds DICOM files, but the model reads {', '.join(channels)}; use sub-folders.")
    return {channels[0]: folder}


def _case_name(path: Path) -> str:
    stem = path.name if path.is_dir() else stem_of(path)
    numbered = _NUMBERED.match(stem)
    return numbered["case"] if numbered and numbered["channel"] == "0000" else stem


def _several(images: Sequence[Path], channels: Sequence[str]) -> Iterator[CaseFiles]:
    """Group files by nnU-Net's numbers, and sub-folders by channel name."""
    grouped: dict[str, dict[str, Path]] = {}
    for path in images:
        numbered = _NUMBERED.match(stem_of(path))
        if path.is_dir():
            grouped[path.name] = _by_name(path, channels)
        elif numbered and int(numbered["channel"]) < len(channels):
            grouped.setdefault(numbered["case"], {})[channels[int(numbered["channel"])]] = path
    for name, found in sorted(grouped.items()):
        missing = [channel for channel in channels if channel not in found]
        if missing:
            raise _wrong(f"Case {name} lacks the channel {missing[0]}; the model reads {', '.join(channels)}.")
        yield CaseFiles(name, {channel: found[channel] for channel in channels})


def _by_name(folder: Path, channels: Sequence[str]) -> dict[str, Path]:
    stems = {stem_of(path).lower(): path for path in sorted(folder.iterdir())}
    found = {}
    for channel in channels:
        path = next((p for stem, p in stems.items() if re.split(r"[_\-. ]", stem)[-1] == channel.lower()), None)
        if path is not None:
            found[channel] = path
    return found


def _wrong(message: str) -> ModelError:
    return ModelError(message, code="wrong_channels")
