"""The guard before every reader: how large, how many, how long and how deep strangers' input may be, checked before
the work is done.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat

MIB = 1 << 20
MIDI_BYTES = 4 * MIB
XML_BYTES = 24 * MIB  # unpacked
ELEMENTS = 500_000  # of XML, and as many attributes
TAGS = {"<measure": 50_000, "<note": 100_000, "<harmony": 20_000}  # of a score, its parts together
DEPTH = 60  # of XML; MusicXML takes about ten
MEMBERS = 1000  # of an archive; tracks of a MIDI file
EVENTS = 200_000  # of a MIDI file; notes of a score; observations of a JAMS annotation
BEATS = 50_000  # of a piece: seven hours at 120 a minute
CHORDS = 5000  # of a piece
MARKS = 20_000  # markers, texts or syllables of a MIDI file
DURATION_S = 6 * 3600.0  # of a piece
CHART_CHARACTERS = 20_000
LABEL_CHARACTERS = 80
QUOTED_CHARACTERS = 60  # of a wrong value that a message repeats
REPEATS = 64  # passes of one repeat in a chart
DIGITS = 18  # of a number, above and below the line each

_NUMBER = re.compile(rf"[+-]?\d{{1,{DIGITS}}}(/\d{{1,{DIGITS}}}|\.\d{{1,{DIGITS}}})?")


def check_count(what: str, count: float | Fraction, most: float) -> None:
    """Raise ValueError where ``count`` is above ``most``."""
    if count > most:
        text = f"{float(count):.4g}" if count == count and count < 1e300 else "a number without end"
        raise ValueError(f"{what}: {text}, more than {most:g}; cut it into shorter pieces")


def fraction(text: object) -> Fraction:
    """The number that ``text`` says as ``3``, ``3/2`` or ``1.5``, ``DIGITS`` digits at most; no exponents, which may
    ask for gigabytes.

    Raises ValueError for anything else.

    Example:
        >>> fraction("3/2")
        Fraction(3, 2)
    """
    if isinstance(text, float) and not isinstance(text, bool):
        text = repr(text) if text != text or abs(text) > 1e15 else f"{text:.12f}"
    words = str(text).strip()
    if isinstance(text, bool) or len(words) > 2 * DIGITS + 2 or not _NUMBER.fullmatch(words):
        raise ValueError(f"{shorten(words)!r} is not a number such as 3, 3/2 or 1.5 of at most {DIGITS} digits")
    if "/" in words and int(words.partition("/")[2]) == 0:
        raise ValueError(f"{words!r} divides by 0")
    return Fraction(words)


def shorten(text: object, most: int = LABEL_CHARACTERS) -> str:
    """``text`` in one line of at most ``most`` characters, for messages and labels."""
    line = " ".join(str(text)[: 4 * most].split())
    return line if len(line) <= most else line[: most - 1] + "…"


def quote(value: object, most: int = QUOTED_CHARACTERS) -> str:
    """``repr`` of a wrong value for a message, in one line of at most ``most`` characters and its quotation marks."""
    return shorten(repr(value[: most + 1] if isinstance(value, (str, list, tuple)) else value), most + 2)


def read_bytes(path: Path, most: int) -> bytes:
    """The bytes of a file of at most ``most`` bytes. Raises ValueError for a larger one."""
    with path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"it is larger than {most // MIB} MiB, the most that is read of such a file")
    return data


class _CountingBuilder(ElementTree.TreeBuilder):
    """Elements up to ``ELEMENTS`` and ``DEPTH``."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = self.depth = 0

    def start(self, tag: Any, attrs: Any) -> Any:  # type: ignore[override]
        self.elements += 1
        self.depth += 1
        check_count("elements of XML", self.elements, ELEMENTS)
        check_count("depth of the XML", self.depth, DEPTH)
        return super().start(tag, attrs)

    def end(self, tag: str) -> Any:
        self.depth -= 1
        return super().end(tag)


def parse_xml(data: bytes) -> ElementTree.Element:
    """The root of an XML document of at most ``XML_BYTES``, namespaces left out of the tags.

    Raises ValueError for what is no XML, for one that declares entities (which may multiply), and beyond the limits.
    """
    check_count("bytes of XML", len(data), XML_BYTES)
    if b"<!ENTITY" in data.replace(b"\0", b""):
        raise ValueError("its XML declares entities, which no score needs")
    check_count("elements of XML", data.count(b"</") + data.count(b"/>"), ELEMENTS)
    check_count("attributes of XML", data.count(b'="') + data.count(b"='"), ELEMENTS)
    for tag, most in TAGS.items():
        check_count(f"{tag}> in the XML", sum(data.count(tag.encode() + end) for end in (b">", b" ", b"/")), most)
    parser = ElementTree.XMLParser(target=_CountingBuilder())
    try:
        parser.feed(data)
        root: ElementTree.Element = parser.close()
    except ElementTree.ParseError as error:
        raise ValueError(_fault_of_xml(error)) from error
    except LookupError as error:
        raise ValueError(f"its XML is in an encoding that is not known ({error}); save it as UTF-8") from error
    for element in root.iter():
        if isinstance(element.tag, str) and element.tag.startswith("{"):
            element.tag = element.tag.rpartition("}")[2]
    return root


XML_FAULTS = {  # expat's code → what it means in a file
    expat.errors.XML_ERROR_NO_ELEMENTS: "the file ends before its XML does (line {line}): it was cut off, or is empty",
    expat.errors.XML_ERROR_UNCLOSED_TOKEN: "the file ends before its XML does (a tag in line {line} is not closed)",
    expat.errors.XML_ERROR_INVALID_TOKEN: "line {line} holds a character that XML does not allow there",
    expat.errors.XML_ERROR_SYNTAX: "line {line} is not XML",
    expat.errors.XML_ERROR_TAG_MISMATCH: "the end tag in line {line} does not belong to the element that is open there",
    expat.errors.XML_ERROR_DUPLICATE_ATTRIBUTE: "an element in line {line} has the same attribute twice",
    expat.errors.XML_ERROR_JUNK_AFTER_DOC_ELEMENT: "something follows the end of the XML (line {line})",
    expat.errors.XML_ERROR_UNDEFINED_ENTITY: "line {line} uses an entity that XML does not know",
    expat.errors.XML_ERROR_UNKNOWN_ENCODING: "its XML is in an encoding that is not known; save it as UTF-8",
    expat.errors.XML_ERROR_INCORRECT_ENCODING: "its XML is not in the encoding that it names; save it as UTF-8",
    expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION: "the file ends before its XML does (a CDATA section in line {line})",
    expat.errors.XML_ERROR_PARTIAL_CHAR: "the file ends in the middle of a character (line {line}): it was cut off",
    expat.errors.XML_ERROR_BAD_CHAR_REF: "line {line} names a character that XML does not allow",
    expat.errors.XML_ERROR_UNBOUND_PREFIX: "line {line} uses a namespace that is not declared",
}


def _fault_of_xml(error: ElementTree.ParseError) -> str:
    """What expat found, in words for whoever opens the file in an editor."""
    words = expat.ErrorString(error.code)
    line = error.position[0]
    return XML_FAULTS.get(words, "line {line} is not XML").format(line=line)


def open_archive(path: Path) -> zipfile.ZipFile:
    """The archive at ``path``. Raises ValueError for what is none and for one of more than ``MEMBERS`` members."""
    try:
        pack = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, OSError, UnicodeDecodeError, OverflowError) as error:
        raise ValueError(f"it is no archive that can be opened: {error}") from error
    if len(pack.namelist()) > MEMBERS:
        pack.close()
        raise ValueError(f"the archive has more than {MEMBERS} members")
    return pack


def read_member(pack: zipfile.ZipFile, name: str, most: int) -> bytes:
    """The bytes of a member, never more than ``most`` unpacked, whatever its header says.

    Raises ValueError otherwise.
    """
    size = pack.getinfo(name).file_size
    if size > most:
        raise ValueError(f"its member {shorten(name)!r} takes {size} bytes, more than {most}")
    try:
        with pack.open(name) as member:
            data = member.read(most + 1)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise ValueError(f"its member {shorten(name)!r} cannot be unpacked: {error}") from error
    if len(data) > most:
        raise ValueError(f"its member {shorten(name)!r} takes more than {most} bytes")
    return data
