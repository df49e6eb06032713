"""Symbols as files and text: JSON, MIDI, MusicXML, JAMS, charts, engraved parts."""
