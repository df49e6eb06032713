"""Grooves: how drums, bass, chords and a lead are played, one named rule a function, bar by bar."""
