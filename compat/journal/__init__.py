"""What outlives the daemon: everything that the engine needs to go on after a crash (B204, X260).

``journal.py`` knows what is written and how it is read back, ``journal_file.py`` the file, ``boot.py``
which boot of the host it belongs to.
"""
