"""Kills, full disks and broken disks, at random or at every moment: `python -m faults --help`."""
