"""Settings in, working parts out. The only place that names concrete adapters.

build.py      build_services: all parts of a process, connected
services.py   Services: those parts, from the process's start to its stop
roles.py      what a process does, and what is refused before it starts
providers.py  who restores photos: the catalog, and the pipeline over it
storage.py    where files lie: folders or a bucket
database.py   the tables at the start, and the keys for the command line
queues.py     how jobs get to workers, and how processes hear of each other
engine.py     the job engine over all of these

Nothing is imported here, so that a command loads only what it uses.
"""
