"""The daemon replaces itself by a new run of its program, with everything that it knows (D175-D197, D227-D247)."""
