"""The web page over the pipeline, thin. `musetune ui` opens it."""
