"""Cameras on the workers of a Ray cluster: who watches which, how they are handed over, and what comes back of them.

Begin with `head.py` (the server's side) and `worker.py` (a worker's). A worker hosts the same `cameras.fleet.Fleet` as
a server without a cluster; the server's fleet holds a `RemoteCamera` for each. Only `ray_nodes.py` knows Ray, and only
a server with a cluster imports it. This room knows no HTTP and no tables.
"""
