"""Read the songs that the planner learns from: POP909, OpenEWLD and Bach's chorales, one a line of JSON.

    python recipes/planner/collect_songs.py SHARED/data songs.jsonl

SHARED/data holds pop909/ and openewld/; the chorales come with music21.
"""

from __future__ import annotations

import sys
from pathlib import Path

from musetune.datasets.planner.songs import write

if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    write(Path(sys.argv[1]), Path(sys.argv[2]))
