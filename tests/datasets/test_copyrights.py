"""Who made a recording: copyright files for machines and for people."""

from __future__ import annotations

from pathlib import Path

import pytest

from musetune.datasets.copyrights import find_notice, package_notices, read_notices
from musetune.datasets.recordings import FOLDERS, MEGABYTES

MACHINE = """Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: 2002-2014, The Team
License: GPL-2+

Files:
 base/music/van_*.ogg
 base/music/David01.ogg
Copyright:
 Manuel "Vanethian" Marino (www.manuelmarino.com)
 David Reeves (Destructavator)
License: CC-BY-3.0

Files: sounds/*
Copyright: Brett
License: CC-BY-SA-4.0

License: CC-BY-3.0
 The licence's text.
 Files: none of it is a field.
"""
PEOPLE = """This package was debianized by Somebody <a@b.c>.

Upstream Authors:
\t Max McCracken

Copyright (C) 2007-2008,2012 Max McCracken

License

   THE WORK IS PROVIDED
"""


@pytest.mark.parametrize(
    ("name", "licence", "author"),
    [
        ("usr/base/0music.unpacked/music/van_theme.ogg", "CC-BY-3.0", "Manuel"),
        ("usr/base/music/David01.ogg", "CC-BY-3.0", "David Reeves"),
        ("usr/base/music/other.ogg", "GPL-2+", "The Team"),
        ("usr/share/sounds/click.ogg", "CC-BY-SA-4.0", "Brett"),
    ],
)
def test_the_last_notice_that_covers_a_file_holds(name: str, licence: str, author: str) -> None:
    notices = read_notices(MACHINE)
    assert len(notices) == 3
    found = find_notice(notices, name)
    assert found is not None
    assert found.licence == licence
    assert author in "; ".join(found.authors)


def test_a_file_for_people_names_its_author(tmp_path: Path) -> None:
    folder = tmp_path / "usr/share/doc/a-music"
    folder.mkdir(parents=True)
    (folder / "copyright").write_text(PEOPLE)
    (notice,) = package_notices(tmp_path, "a-music")
    assert notice.authors == ("2007-2008,2012 Max McCracken",)
    assert notice.covers("any.ogg")
    assert package_notices(tmp_path, "b-music") == []


def test_every_package_of_recordings_has_its_size() -> None:
    assert set(MEGABYTES) == set(FOLDERS)
