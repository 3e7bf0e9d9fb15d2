"""The review of one file: a picture or video is examined to its end, and reports are made from the results.

Begin with `examination`: it samples the file (`samples`), judges each sample by the pipeline that serves live streams,
and gathers a `Reviewed` (`results`) with its verdict, timeline and flagged frames. `annotated_video` and
`report` use stored results. This room knows no jobs, no queue, no HTTP and no tables of the database.
"""
