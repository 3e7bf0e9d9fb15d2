"""Jobs: analyses of uploads that wait, take turns, can be cancelled, and continue after a restart.

Begin with `jobs.Jobs`, what the API calls. `queue` decides what runs, `work` does it, `library` keeps the files, and
`processes` has each file examined in a separate process (`child`, `examiner`, `sandbox`). This room knows no HTTP; how
a file is judged is up to `review`.
"""
