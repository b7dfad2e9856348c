"""Why outputs differ: the update rule of each backend, identified, and what each difference does, replayed."""
