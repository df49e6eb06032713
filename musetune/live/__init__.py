"""Playing along: what hands and files say while a stream sounds, and where its sound goes."""
