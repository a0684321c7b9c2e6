"""The client's parts, each loaded only by the commands that need it.

``compat.initctl`` dispatches. ``options`` reads the command line, ``output`` writes, ``connection``
talks to whatever daemon is there, a real Upstart too; the other modules hold the commands.
Scripts run a client hundreds of times, so nothing here imports more of the standard library than
the interpreter has loaded anyway, save where a rare command says why.
"""
