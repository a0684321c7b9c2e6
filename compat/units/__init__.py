"""Jobs as units of systemd: ``systemctl start|stop|status JOB`` and what builds on it.

Each registered job has a unit file in /run/systemd/system (unit_folder.py). The unit's main process is a small
one of ours that lives as long as the job runs and is told so by the daemon (requests.py). So the unit is active
exactly while the job is, and ends as the job ends.
"""
