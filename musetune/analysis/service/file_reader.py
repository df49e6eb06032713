"""Files of strangers read in a process of their own: lead sheets, players' notes, recordings.

What the process read it writes anew, as our own JSON and as numpy's plain arrays; the caller opens those alone.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musetune.analysis.service.isolation import isolate
from musetune.analysis.service.process import LineProcess, ProcessDeath, answer_lines, check_answer

if TYPE_CHECKING:
    import numpy as np

    from musetune.symbols import Arrangement, LeadSheet

PATIENCE_S = 300.0  # a file may take so long; then its process is stopped
MEMORY = 4 * 2**30  # bytes that the process may take for itself: a file that unpacks into more fails
PROGRAM = "from musetune.analysis.service.file_reader import main; main()"
log = logging.getLogger(__name__)


class FileReader:
    """The caller's side. The process starts with the first file and again after it died, which `ProcessDeath` says.

    Example:
        >>> from musetune import LeadSheet
        >>> path = LeadSheet.parse("| C | F |", bpm=120).save("sheet.mid")
        >>> reader = FileReader()
        >>> reader.sheet(path).chord_labels
        ['C:maj', 'F:maj']
        >>> reader.close()
    """

    def __init__(self) -> None:
        self._process = LineProcess(PROGRAM, PATIENCE_S)

    def sheet(self, path: Path) -> LeadSheet:
        """The lead sheet in a file, as `LeadSheet.load` reads it; raises as that does."""
        from musetune.symbols import LeadSheet

        return LeadSheet.load(self._ask("sheet", path, path.with_name(f"{path.stem}-read.json")))

    def notes(self, path: Path) -> Arrangement:
        """The players' notes in a file, as `load_arrangement` reads them. Raises as that does."""
        from musetune.formats.songs import load_arrangement

        return load_arrangement(self._ask("notes", path, path.with_name(f"{path.stem}-read.json")))

    def sound(self, path: Path, max_seconds: float) -> tuple[np.ndarray, int]:
        """A recording, decoded.

        Args:
            path: A file as `open_decoder` reads it.
            max_seconds: The longest that is taken.

        Returns:
            Float32 (samples,) or (channels, samples), and the rate in Hz.

        Raises:
            ValueError: It cannot be decoded, or is longer.
        """
        import numpy as np

        place = path.with_name(f"{path.stem}-read.npy")
        reply = self._reply("sound", path, place, max_seconds)
        wave = np.load(place, allow_pickle=False)
        place.unlink()
        return (wave[0] if len(wave) == 1 else wave), int(reply["rate"])

    def depth(self, path: Path) -> str:
        """How a recording's samples are held, as `bit_depth` says. Raises ValueError as that does."""
        return str(self._reply("depth", path, path)["depth"])

    def _ask(self, what: str, path: Path, place: Path) -> Path:
        for remark in self._reply(what, path, place)["remarks"]:
            log.warning("%s", remark)
        return place

    def _reply(self, what: str, path: Path, place: Path, max_seconds: float = 0.0) -> dict[str, Any]:
        request = {"what": what, "path": str(path), "place": str(place), "max_seconds": max_seconds}
        try:
            return dict(check_answer(self._process.ask(request)))
        except ProcessDeath as error:
            raise ProcessDeath(f"{path.name} cannot be read: {error}") from None

    def kill(self) -> None:
        """Stop the process in whatever it does: who waits for it gets a ProcessDeath."""
        self._process.kill()

    def close(self) -> None:
        """Stop the process for good and wait for its end."""
        self._process.close()


def main() -> None:
    """The process's side."""
    isolate(MEMORY, network=False)
    answer_lines(_answer)


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    """Read one file, and write what is in it."""
    from musetune.symbols.remarks import collected

    path, place = Path(request["path"]), Path(request["place"])
    if request["what"] == "sound":
        return {"rate": _decode(path, place, request["max_seconds"])}
    if request["what"] == "depth":
        from musetune.audio import bit_depth

        return {"depth": bit_depth(path)}
    with collected() as remarks:
        if request["what"] == "sheet":
            from musetune.symbols import LeadSheet

            LeadSheet.load(path).save(place)
        else:
            from musetune.formats.songs import load_arrangement, save_song
            from musetune.symbols import LeadSheet

            notes = load_arrangement(path)
            save_song(LeadSheet.load(path), notes, place)
    return {"remarks": list(remarks)}


def _decode(path: Path, place: Path, max_seconds: float) -> int:
    """Write a recording as an array (channels, samples); its rate in Hz."""
    import numpy as np

    from musetune.audio.decode import open_decoder

    decoder, pieces, frames = open_decoder(path), [], 0
    for piece in decoder.chunks():
        frames += len(piece)
        if frames > max_seconds * decoder.rate:
            decoder.close()
            raise ValueError(f"{path.name} lasts longer than {max_seconds:g} s, the most that is edited at once")
        pieces.append(piece)
    if not frames:
        raise ValueError(f"{path.name} holds no sound")
    np.save(place, np.ascontiguousarray(np.concatenate(pieces).T, dtype=np.float32), allow_pickle=False)
    return decoder.rate
