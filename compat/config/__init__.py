"""Where definitions come from: directories, overrides, priorities, watching (chapter 1 sections 1-2, chapter 5 sections 6-11).

``names`` which files count · ``sources`` the ordered list of places · ``tree`` walking and reading one of them ·
``catalogue`` which definition of a job is the best one · ``inotify`` the kernel's side · ``changes`` events of one batch,
merged · ``watcher`` from events to changes of the catalogue.
"""
