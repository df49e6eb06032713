// A small synthesiser: chords sound at once, without the model. Notes are MIDI pitches that the server chose.
window.mtSynth = (() => {
  let context = null, output = null, playing = [];

  const wake = () => {
    if (!context) {
      context = new AudioContext({ latencyHint: "interactive" });
      output = new DynamicsCompressorNode(context, { threshold: -18, ratio: 6 });
      output.connect(context.destination);
    }
    if (context.state === "suspended") context.resume();
    return context;
  };

  const voice = (pitch, start, seconds, level) => {
    const gain = new GainNode(context, { gain: 0 });
    const filter = new BiquadFilterNode(context, { type: "lowpass", frequency: 2600, Q: 0.4 });
    const end = start + seconds;
    gain.gain.setValueAtTime(0, start);
    gain.gain.linearRampToValueAtTime(level, start + 0.012);
    gain.gain.setTargetAtTime(level * 0.45, start + 0.012, 0.35);
    gain.gain.setTargetAtTime(0, end, 0.08);
    const frequency = 440 * 2 ** ((pitch - 69) / 12);
    const sources = [["triangle", 0], ["sawtooth", 6]].map(([type, detune], index) => {
      const source = new OscillatorNode(context, { type, frequency, detune });
      source.connect(new GainNode(context, { gain: index ? 0.18 : 0.8 })).connect(filter);
      source.start(start);
      source.stop(end + 0.6);
      return source;
    });
    filter.connect(gain).connect(output);
    const one = { gain, sources };
    playing.push(one);
    sources[0].onended = () => { playing = playing.filter((other) => other !== one); };
  };

  // what sounds fades away, what was to come does not come
  const stop = () => {
    for (const { gain, sources } of playing) {
      gain.gain.cancelScheduledValues(context.currentTime);
      gain.gain.setTargetAtTime(0, context.currentTime, 0.03);
      for (const source of sources) source.stop(context.currentTime + 0.2);
    }
    playing = [];
  };

  // notes, seconds from now, length in seconds
  const play = (notes, after = 0, seconds = 1.1) => {
    if (!notes.length) return;
    const start = wake().currentTime + 0.01 + after;
    for (const pitch of notes) voice(pitch, start, seconds, 0.5 / Math.sqrt(notes.length));
  };

  return { play, stop, wake, get output() { return output; }, get context() { return context; } };
})();
