"""Jobs: uploads as analyses that wait, run in turns, are cancelled, and go on after a restart.

Begin with `jobs.Jobs`, what the API calls. `queue` decides what runs, `work` does it, `library` keeps the files, and
`processes` has each file examined in a process of its own (`child`, `examiner`, `sandbox`). This room knows nothing of
HTTP; how a file is judged is the matter of `review`.
"""
