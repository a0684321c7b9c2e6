"""The host bridge: the host's own life, told as the events that old job files wait for (6.17 to 6.28)."""
