"""Every query on jobs and what belongs to them, one file for each reader.

jobs.py        JobRepository: jobs accepted, read, listed and cancelled; its attributes are the next five
due.py         DueJobs: what may be claimed, and what the sweep hands to the queue
leases.py      Leases: what a worker writes, from its claim to the job's end
files.py       JobFiles: results that still move, files that have had their time
retention.py   Retention: deleting old rows
deliveries.py  Deliveries: webhooks to be sent
batches.py     BatchRepository: many jobs of one request
statements.py  what the statements of all of them share

Queries that only count stand beside this package, in figures.py and recent.py; those on API keys in keys.py.
"""
