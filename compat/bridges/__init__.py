"""Programs that turn what happens on a host into events (chapter 6)."""
