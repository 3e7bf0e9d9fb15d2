"""Cameras, live checks and analyses on the workers of a Ray cluster: placement, leases, messages.

Begin with `head.py` (the server's side) and `worker/worker.py` (a worker's side); `messages.py` has what they exchange.
A worker hosts the same `cameras.fleet.Fleet` as a server without a cluster; the server's fleet holds a `RemoteCamera`
for each. Only `ray_nodes.py` knows Ray, and only a server with a cluster imports it. This room knows no HTTP and no
tables.
"""
