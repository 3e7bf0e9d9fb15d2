"""Uploads as jobs: the queue, their progress, their files, and the work that is done for each."""
