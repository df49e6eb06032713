"""The HTTP service: jobs that outlive a crash, workers that do them, and the application that speaks of them."""
