"""Examples and batches for the analyser's networks."""
