"""The engine's whole state as text, for a re-exec (D197-D207): pure, like the engine that it writes out."""
