"""What users import from musetune.formats is there, and importing the room is light."""

from __future__ import annotations

import subprocess
import sys

import musetune.formats


def test_every_name_is_there() -> None:
    assert all(callable(getattr(musetune.formats, name)) for name in musetune.formats.__all__)


def test_the_room_is_light() -> None:
    code = "import sys, musetune.formats; print(sorted({'music21', 'mido', 'jams', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
