"""Damaged files through the loader: what comes of them, and nothing worse than a typed error.

    python benchmarks/mutations.py [--count 20000] [--seed 0] [--only INDEX] [--data ../shared/data]

Real files (pydicom's and nibabel's test files, the scans beside this clone, files made with
Pillow, tifffile, SimpleITK and by hand) are mutated: bits flipped, cut, lengths and numbers made
extreme, blocks zeroed, garbage appended, headers of other files put in. Each is scanned, read and
read as a mask through the decoder child, as the window does it. A case is made from the seed
and its index alone, so ``--only INDEX`` repeats one; its file stays for a look.

Fails (exit 1) when a child process is not the only thing that dies, when something hangs or takes
more memory than its limit, and when an error is not one of ours. That a decoder crashed in its child
is counted, not failed: it is what the child is for.
"""

from __future__ import annotations

import argparse
import bz2
import gzip
import io
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import SimpleITK
import tifffile
from PIL import Image

from segdesk.errors import SegdeskError, WorkerError
from segdesk.io.formats import sniff
from segdesk.io.reading import read_labels
from segdesk.io.scan import scan
from segdesk.workers.decoder import Decoder

MAX_BYTES = 300_000
"""Larger originals are left out: damage does not need them, and 20,000 cases shall take minutes."""

MAX_ENTRIES = 3
"""Entries read of one file."""

SLOW_S = 20.0
"""A case that takes longer hangs: an original takes some milliseconds."""

_EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
_EXTREME_WORDS = (b"0", b"-1", b"nan", b"inf", b"1e308", b"4294967296", b"99999999999999999999", b"", b"\0", b"65535")
_HEAD_BYTES = 2048
_FOLDERS = (
    "dicom-codecs",
    "geometry-torture",
    "dicom-seg-rtstruct",
    "dicom-small-golden",
    "hippocampus",
    "em-isbi2012",
)
_FAILURES = ("internal", "worker", "decoder_hung", "decoder_memory")


@dataclass(frozen=True)
class Original:
    """A file, with the files that belong to it."""

    name: str
    content: bytes
    companions: tuple[tuple[str, bytes], ...] = ()


Mutation = Callable[[bytes, np.random.Generator, Sequence[Original]], bytes]


def flip_bits(content: bytes, rng: np.random.Generator, others: Sequence[Original]) -> bytes:
    damaged = bytearray(content)
    for _ in range(int(rng.integers(1, 17))):
        damaged[_place(content, rng)] ^= 1 << int(rng.integers(8))
    return bytes(damaged)


def flip_bits_inside(content: bytes, rng: np.random.Generator, others: Sequence[Original]) -> bytes:
    """Damage what a gzip stream holds, not the stream."""
    if content[:2] != b"\x1f\x8b":
        return extreme_number(content, rng, others)
    mutate = MUTATIONS[int(rng.integers(len(MUTATIONS)))]
    inner = gzip.decompress(content)
    damaged = flip_bits(inner, rng, others) if mutate is flip_bits_inside else mutate(inner, rng, others)
    return gzip.compress(damaged, 1, mtime=0)


def cut(content: bytes, rng: np.random.Generator, others: Sequence[Original]) -> bytes:
    return content[: _place(content, rng)]


def append(content: bytes, rng: np.random.Generator, others: Sequence[Original]) -> bytes:
    return content + rng.bytes(int(rng.integers(1, 5000)))


def zero(content: bytes, rng: np.random.Generator, others: Sequence[Original]) -> bytes:
    start, count = _place(content, rng), int(rng.integers(1, 600))
    return content[:start] + bytes(min(count, len(content) - start)) + content[start + count :]


def extreme_number(content: bytes, rng: np.random.Generator, others: Sequence[Original]) -> bytes:
    """Put an extreme value where a length or a size may be."""
    size = int(rng.choice([1, 2, 4, 4, 8]))
    start = _place(content, rng) // 2 * 2
    value = int(rng.choice(_EXTREMES)) if rng.random() < 0.7 else int(rng.integers(1 << 32))
    order = "little" if rng.random() < 0.8 else "big"
    number = (value % (1 << (8 * size))).to_bytes(size, order)
    return content[:start] + number + content[start + size :]


def extreme_word(content: bytes, rng: np.random.Generator, others: Sequence[Original]) -> bytes:
    """Replace a run of digits in the head by an extreme one."""
    head = content[:_HEAD_BYTES]
    digits = [n for n, byte in enumerate(head) if byte in b"0123456789"]
    if not digits:
        return extreme_number(content, rng, others)
    start = end = digits[int(rng.integers(len(digits)))]
    while end < len(head) and head[end] in b"0123456789.":
        end += 1
    word = _EXTREME_WORDS[int(rng.integers(len(_EXTREME_WORDS)))]
    # In formats with fixed fields the length must stay.
    word = word.ljust(end - start)[: end - start] if rng.random() < 0.5 else word
    return content[:start] + word + content[end:]


def swap_head(content: bytes, rng: np.random.Generator, others: Sequence[Original]) -> bytes:
    other = others[int(rng.integers(len(others)))].content
    count = int(rng.integers(1, _HEAD_BYTES))
    return other[:count] + content[count:]


def move_block(content: bytes, rng: np.random.Generator, others: Sequence[Original]) -> bytes:
    """Repeat, remove or insert a block: everything behind it shifts."""
    start, count = _place(content, rng), int(rng.integers(1, 200))
    block = (content[start : start + count] * 2, b"", rng.bytes(count))[int(rng.integers(3))]
    return content[:start] + block + content[start + count :]


MUTATIONS: tuple[Mutation, ...] = (
    flip_bits,
    flip_bits_inside,
    cut,
    append,
    zero,
    extreme_number,
    extreme_number,
    extreme_word,
    swap_head,
    move_block,
)


def _place(content: bytes, rng: np.random.Generator) -> int:
    """Return a position, in the head more often than not: there the numbers are that readers trust."""
    end = min(len(content), _HEAD_BYTES) if rng.random() < 0.6 else len(content)
    return int(rng.integers(max(1, end)))


@dataclass(frozen=True)
class Case:
    """One damaged file."""

    index: int
    original: str
    mutation: str
    path: Path


def make_case(originals: Sequence[Original], seed: int, index: int, folder: Path) -> Case:
    """Write the damaged file of an index into `folder`."""
    rng = np.random.default_rng([seed, index])
    original = originals[int(rng.integers(len(originals)))]
    mutate = MUTATIONS[int(rng.integers(len(MUTATIONS)))]
    content = mutate(original.content, rng, originals) if original.content else b""
    path = folder / original.name.rpartition("/")[2]
    path.write_bytes(content)
    for name, companion in original.companions:
        (folder / name).write_bytes(companion)
    return Case(index, original.name, mutate.__name__, path)


def outcome_of(path: Path, decoder: Decoder) -> str:
    """Load a file as the window does; return what came of it."""
    outcomes = []
    try:
        found = decoder(scan, path)
        for entry in found.series[:MAX_ENTRIES]:
            outcomes.append(_tried(lambda entry=entry: entry.read()))
        outcomes += [f"refused: {each.code}" for each in found.refused]
    except SegdeskError as error:
        outcomes.append(_told(error))
    outcomes.append(_tried(lambda: decoder(read_labels, path)))
    bad = [each for each in outcomes if each.startswith("FAILED")]
    return (bad or [each for each in outcomes if "decoder" in each] or outcomes)[0]


def _tried(read: Callable[[], object]) -> str:
    try:
        read()
    except SegdeskError as error:
        return _told(error)
    return "read"


def _told(error: SegdeskError) -> str:
    if error.code in _FAILURES or isinstance(error, WorkerError) or "\n" in error.message:
        return f"FAILED {error.code}: {error.message}"
    return f"refused: {error.code}"


def originals_of(data: Path | None) -> list[Original]:
    """Collect undamaged files, in a stable order."""
    folders = [Path(pydicom.__file__).parent / "data" / "test_files", Path(nibabel.__file__).parent / "tests" / "data"]
    folders += [data / name for name in _FOLDERS] if data is not None and data.is_dir() else []
    found = list(made_files())
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if not path.is_file() or path.suffix in (".py", ".pyc", ".md", ".json", ".csv"):
                continue
            if 0 < path.stat().st_size <= MAX_BYTES and _is_known(path):
                found.append(Original(f"{folder.name}/{path.name}", path.read_bytes(), tuple(_companions(path))))
    return found


def _is_known(path: Path) -> bool:
    """Whether segdesk reads files of this kind: notes and foreign formats tell nothing when they are damaged."""
    try:
        sniff(path)
    except SegdeskError:
        return False
    return True


def _companions(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the other half of a pair."""
    stem = path.name.split(".")[0]
    if path.suffix in (".hdr", ".img", ".mhd", ".nhdr"):
        for other in sorted(path.parent.glob(f"{stem}.*")):
            if other != path and other.is_file() and other.stat().st_size <= MAX_BYTES:
                yield other.name, other.read_bytes()


def made_files() -> Iterator[Original]:
    """Yield small files of every format and encoding, made with other libraries or by hand."""
    rng = np.random.default_rng(0)
    voxels = rng.integers(0, 900, (5, 12, 10)).astype(np.int16)
    labels = (voxels > 600).astype(np.uint8)
    nifti = nibabel.Nifti1Image(voxels.T, np.diag([1.0, 2.0, 3.0, 1.0]))
    nifti.header.set_slope_inter(2.0, -5.0)
    yield Original("made/scaled.nii", nifti.to_bytes())
    yield Original("made/mask.nii.gz", gzip.compress(nibabel.Nifti2Image(labels.T, np.eye(4)).to_bytes(), mtime=0))
    yield from _nrrds(voxels)
    with tempfile.TemporaryDirectory() as folder:
        yield from _metas(voxels, Path(folder))
        for name, keywords in (("plain", {}), ("deflate", {"compression": "zlib"}), ("lzw", {"compression": "lzw"})):
            target = io.BytesIO()
            if name == "lzw":
                pages = [Image.fromarray(page) for page in labels]
                pages[0].save(target, "TIFF", compression="tiff_lzw", save_all=True, append_images=pages[1:])
            else:
                tifffile.imwrite(target, voxels, photometric="minisblack", metadata=None, **keywords)
            yield Original(f"made/{name}.tif", target.getvalue())
    picture = Image.fromarray(rng.integers(0, 255, (40, 50, 3)).astype(np.uint8))
    for name, image in (("rgb.png", picture), ("palette.png", picture.convert("P")), ("rgb.jpg", picture)):
        target = io.BytesIO()
        image.save(target, "JPEG" if name.endswith("jpg") else "PNG")
        yield Original(f"made/{name}", target.getvalue())


def _nrrds(voxels: np.ndarray) -> Iterator[Original]:
    head = (
        "NRRD0005\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 10 12 5\n"
        "space directions: (1,0,0) (0,2,0) (0,0,3)\nspace origin: (1,2,3)\nendian: little\n"
    )
    raw = voxels.tobytes()
    text = " ".join(map(str, voxels.ravel())).encode()
    for encoding, content in (
        ("raw", raw),
        ("gzip", gzip.compress(raw)),
        ("bzip2", bz2.compress(raw)),
        ("ascii", text),
    ):
        yield Original(f"made/{encoding}.nrrd", f"{head}encoding: {encoding}\n\n".encode() + content)
    keys = "Segment0_ID:=a\nSegment0_Name:=Left\nSegment0_LabelValue:=1\nSegment0_Layer:=0\nSegment0_Color:=1 0 0\n"
    seg = head.replace("short", "uchar") + keys + "encoding: gzip\n\n"
    yield Original("made/two.seg.nrrd", seg.encode() + gzip.compress((voxels > 600).astype(np.uint8).tobytes()))
    yield Original("made/apart.nhdr", f"{head}encoding: raw\ndata file: apart.raw\n".encode(), (("apart.raw", raw),))


def _metas(voxels: np.ndarray, folder: Path) -> Iterator[Original]:
    image = SimpleITK.GetImageFromArray(voxels)
    for name, is_compressed in (("plain.mha", False), ("packed.mha", True)):
        SimpleITK.WriteImage(image, str(folder / name), useCompression=is_compressed)
        yield Original(f"made/{name}", (folder / name).read_bytes())
    SimpleITK.WriteImage(image, str(folder / "apart.mhd"))
    companions = (("apart.raw", (folder / "apart.raw").read_bytes()),)
    yield Original("made/apart.mhd", (folder / "apart.mhd").read_bytes(), companions)


@dataclass
class Tally:
    """What came of all cases."""

    outcomes: Counter[str]
    failures: list[str]
    crashes: list[str]

    def add(self, case: Case, outcome: str, took_s: float) -> None:
        if took_s > SLOW_S:
            outcome = f"FAILED slow: {took_s:.1f} s"
        kind = ":".join(outcome.split(":")[: 1 if outcome.startswith("FAILED") else 2])
        self.outcomes[kind] += 1
        told = f"index {case.index} ({case.original}, {case.mutation}): {outcome}"
        if outcome.startswith("FAILED"):
            self.failures.append(told)
        elif "decoder_crashed" in outcome:
            self.crashes.append(told)

    def table(self) -> str:
        total = sum(self.outcomes.values())
        rows = [f"{kind:<32} {n:>7} {100 * n / total:6.2f} %" for kind, n in self.outcomes.most_common()]
        return "\n".join([*rows, f"{'all':<32} {total:>7}"])


def run(originals: Sequence[Original], seed: int, indices: Sequence[int], tell: Callable[[str], None]) -> Tally:
    """Load the cases of some indices; returns what came of them."""
    tally = Tally(Counter(), [], [])
    folder = Path(tempfile.mkdtemp(prefix="segdesk-mutations-"))
    decoder = Decoder(folder / "logs")
    try:
        for number, index in enumerate(indices):
            place = folder / str(index)
            place.mkdir()
            case = make_case(originals, seed, index, place)
            began = time.monotonic()
            known = len(tally.failures)
            tally.add(case, outcome_of(case.path, decoder), time.monotonic() - began)
            for failure in tally.failures[known:]:
                tell(failure)
            if len(indices) > 1:
                shutil.rmtree(place)
            else:
                tell(f"{case.path} ({case.original}, {case.mutation})")
            if (number + 1) % 500 == 0:
                tell(f"{number + 1} of {len(indices)}, {len(tally.failures)} failed")
    finally:
        decoder.close()
    if len(indices) > 1:
        shutil.rmtree(folder)
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="repeat the case of one index and keep its file")
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    options = parser.parse_args()
    originals = originals_of(options.data)
    indices = range(options.count) if options.only is None else [options.only]
    print(f"seed {options.seed}, {len(originals)} originals, {len(indices)} damaged files")
    tally = run(originals, options.seed, indices, lambda text: print(text, flush=True))
    print(tally.table())
    print("crashes, in the child alone:", *tally.crashes, sep="\n")
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
