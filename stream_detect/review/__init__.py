"""Review of one file: a picture or a video judged from beginning to end, and what is made of the result.

Begin with `examination`: it samples the file (`samples`), judges each sample by the pipeline that serves live streams,
and gathers a `Reviewed` (`results`) with its verdict, timeline and flagged frames. `annotated_video`, `report` and
`csv_table` are made of stored results. This room knows nothing of jobs, queues, HTTP and databases' tables.
"""
