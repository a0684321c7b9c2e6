"""The D-Bus service: objects, paths, errors and permissions (spec chapter 4). ``service.Control`` is its face."""
