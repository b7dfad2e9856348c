"""All of NIR through all backends: every primitive, every time step, and vectors for libraries in any language."""
