"""What a library must be able to do, where it is installed, and how another version comes beside it."""
