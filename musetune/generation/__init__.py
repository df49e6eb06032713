"""How a pipeline call becomes audio: guidance, windows, loading. Small functions that the pipeline strings together."""
