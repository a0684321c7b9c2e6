"""upstart-compat: run Upstart job files unchanged on hosts whose init is not Upstart."""

#: The Upstart release whose behaviour is provided and whose number clients are told (C45, C101).
UPSTART_VERSION = "1.13.2"
#: Our own release; pyproject.toml and the packages take it from here.
VERSION = "0.1.0"
