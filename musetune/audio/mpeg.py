"""MP3 files that are more than their frames: junk, a cut frame or a damaged tag at the start, holes, no length.

libsndfile opens an MP3 only where its first bytes are a frame or a whole ID3 tag, gives up after 1024 bytes of junk and
guesses a length that is not told. A frame begins with four bytes that say how long it is (ISO/IEC 11172-3, 2.4.1.3;
13818-3 for the lower rates), so a stream is a chain of headers, and what is not in the chain can be left out.
"""

from __future__ import annotations

import bisect
import io
import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

SEARCHED = 2**23  # bytes in which the next frame is looked for; pictures in ID3 tags reach a few MiB
WINDOW = 2**17  # so many of them at once
CHAIN = 4  # frames in a row, all of one layer and rate, that make a stream
LONGEST_FRAME = 2881  # bytes
MISCOUNTED = 16  # frames beyond the told number, half a second, make another file that was joined to the first
# kbit/s by index 1–14 of the header; the lower rates of MPEG 2 and 2.5 have other tables
KBITS_1 = {
    2: (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    3: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
}
KBITS_2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
HERTZ = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}  # by version: MPEG 1, 2, 2.5


def _frame_lengths() -> np.ndarray:
    """Return bytes of a frame (2**13,) by what its header says, 0 for what cannot be.

    The index is version (2 bits), layer (2), bit rate (4), sampling rate (2), padding (1); two bits are free.
    """
    lengths = np.zeros(2**13, np.int64)
    for version, rates in HERTZ.items():
        for layer in (2, 3):  # layer II is written as 10, layer III as 01
            table = KBITS_1[layer] if version == 3 else KBITS_2
            samples = 1152 if layer == 2 or version == 3 else 576
            for at, kbits in enumerate(table, 1):
                for rate, hertz in enumerate(rates):
                    for padding in (0, 1):
                        index = version << 11 | (4 - layer) << 9 | at << 5 | rate << 3 | padding << 2
                        lengths[index : index + 4] = samples * kbits * 125 // hertz + padding
    return lengths


LENGTHS = _frame_lengths()


@dataclass(frozen=True)
class MpegFrames:
    """The frames of an MPEG stream in a file.

    Attributes:
        ranges: (first byte, byte after the last) of stretches of frames without anything between them.
        count: Frames in all.
        header: The first frame's four bytes.
        has_length: Whether the first frame tells the number of the frames, and not too few.
        whole: Whether libsndfile reads all of it by itself: one stretch from the first byte or an ID3 tag on, and,
            where the bit rate varies, with their number told.
        changes: Whether a stream of another layer or sampling rate follows, which is not read.
    """

    ranges: tuple[tuple[int, int], ...]
    count: int
    header: bytes
    has_length: bool
    whole: bool
    changes: bool = False


def find_frames(path: Path) -> MpegFrames | None:
    """Find all frames of an MPEG layer II or III stream, whatever stands before and between them.

    Args:
        path: Any file. Where frames stop, the next SEARCHED bytes are looked at.

    Returns:
        The frames; None where nowhere CHAIN headers of one layer and rate follow each other.
    """
    if path.stat().st_size < 4:
        return None
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        first = _next_chain(data, 0, None)
        if first is None:
            return None
        header, kind = bytes(data[first : first + 4]), _kind(data, first)
        ranges, count, rates, at = [], 0, set(), first
        start: int | None = first
        while start is not None:
            at = start
            while at + 4 <= len(data) and (length := _length(data, at)) and _kind(data, at) == kind:
                count += 1
                rates.add(data[at + 2] >> 4)
                at += length
            ranges.append((start, min(at, len(data))))
            start = _next_chain(data, at, kind)
        stated_count = _told_count(data[first : first + 200])
        # where files are joined end to end, the number is the first one's
        short = stated_count is not None and stated_count + MISCOUNTED < count
        if short:
            ranges[0] = (first + _length(data, first), ranges[0][1])
            count -= 1
        has_length = stated_count is not None and not short
        whole = len(ranges) == 1 and first == _tag_length(data) and (has_length or len(rates) == 1) and not short
        changes = _next_chain(data, at, None) is not None
    return MpegFrames(tuple(ranges), count, header, has_length, whole, changes)


def _told_count(frame: bytes) -> int | None:
    """Return how many frames the tag of a first frame tells of, None for no tag; 2**32 for a tag that does not say."""
    for mark, offset in ((b"Xing", 8), (b"Info", 8), (b"VBRI", 14)):
        if (at := frame.find(mark)) >= 0:
            says = mark == b"VBRI" or (frame[at + 7 : at + 8] and frame[at + 7] & 1)
            return int.from_bytes(frame[at + offset : at + offset + 4], "big") if says else 2**32
    return None


def _length(data: mmap.mmap, at: int) -> int:
    """Return bytes of the frame that begins here, 0 where none does."""
    if data[at] != 255 or data[at + 1] < 224:
        return 0
    return int(LENGTHS[(data[at + 1] >> 1 & 15) << 9 | data[at + 2] << 1])


def _kind(data: mmap.mmap, at: int) -> int:
    """Return what all frames of a stream have in common: version, layer and sampling rate."""
    return (data[at + 1] & 30) << 8 | data[at + 2] & 12


def _tag_length(data: mmap.mmap) -> int:
    """Return bytes of the ID3v2 tag at the start of the file (id3.org, 3.1: seven bits a byte), 0 for none."""
    if data[:3] != b"ID3" or len(data) < 10:
        return 0
    size = sum((data[6 + i] & 127) << 7 * (3 - i) for i in range(4))
    return 10 + size + (10 if data[5] & 16 else 0)


def _next_chain(data: mmap.mmap, begin: int, kind: int | None) -> int | None:
    """Return where CHAIN frames of one kind (default: any) follow each other, None where they do not."""
    for low in range(begin, min(begin + SEARCHED, len(data) - 3), WINDOW):
        window = np.frombuffer(data[low : low + WINDOW + CHAIN * LONGEST_FRAME + 4], np.uint8).astype(np.int32)
        if len(window) < 4:
            return None
        second, third = window[1:-2], window[2:-1]
        lengths = LENGTHS[(second >> 1 & 15) << 9 | third << 1]
        lengths[(window[:-3] != 255) | (second < 224)] = 0  # eleven bits of a header are 1
        kinds = (second & 30) << 8 | third & 12
        starts = np.flatnonzero((lengths[:WINDOW] > 0) & (kinds[:WINDOW] == (kinds[:WINDOW] if kind is None else kind)))
        ends = starts
        for _ in range(CHAIN - 1):
            following = ends + lengths[ends]
            inside = following < len(lengths)
            starts, following = starts[inside], following[inside]
            same = (lengths[following] > 0) & (kinds[following] == kinds[starts])
            starts, ends = starts[same], following[same]
        if len(starts):
            return low + int(starts[0])
    return None


class MpegFile(io.RawIOBase):
    """The frames of a stream alone, their number told by the first, as a file to read.

    Without that number libsndfile would guess the length by the first frame's bit rate, and stop there.

    Args:
        path: The file.
        frames: What `find_frames` found in it.
    """

    def __init__(self, path: Path, frames: MpegFrames) -> None:
        head = b"" if frames.has_length else _number_frame(frames.header, frames.count)
        self.parts: list[tuple[int, int | bytes, int]] = [(0, head, len(head))]  # place, bytes or place in file, length
        self.size = len(head)
        for low, high in frames.ranges:
            self.parts.append((self.size, low, high - low))
            self.size += high - low
        self.file, self.at = path.open("rb"), 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a byte of the stream, counted as files count; return it."""
        self.at = max(0, offset + (0 if whence == io.SEEK_SET else self.at if whence == io.SEEK_CUR else self.size))
        return self.at

    def tell(self) -> int:
        """Return the byte that is read next."""
        return self.at

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer; return how many bytes there were."""
        view, filled = memoryview(buffer).cast("B"), 0
        while filled < len(view) and self.at < self.size:
            begin, source, length = self.parts[bisect.bisect_right(self.parts, self.at, key=lambda part: part[0]) - 1]
            inside, room = self.at - begin, min(len(view) - filled, begin + length - self.at)
            if isinstance(source, bytes):
                data = source[inside : inside + room]
            else:
                self.file.seek(source + inside)
                data = self.file.read(room)
            if not data:
                break
            view[filled : filled + len(data)] = data
            filled += len(data)
            self.at += len(data)
        return filled

    def close(self) -> None:
        """Close the file."""
        self.file.close()
        super().close()


def _number_frame(header: bytes, count: int) -> bytes:
    """Return a silent frame with the Xing tag, which tells the number of the frames after it."""
    first_version, mono = header[1] >> 3 & 3 == 3, header[3] >> 6 == 3
    side = (17 if mono else 32) if first_version else (9 if mono else 17)  # bytes of side information
    for index in range(1, 15):  # the lowest bit rate whose frame has room for the tag
        head = bytes([255, header[1] | 1, index << 4 | header[2] & 12, header[3]])
        size = int(LENGTHS[(head[1] >> 1 & 15) << 9 | head[2] << 1])
        if size >= 4 + side + 12:
            break
    return (head + bytes(side) + b"Info" + (1).to_bytes(4, "big") + count.to_bytes(4, "big")).ljust(size, b"\0")
