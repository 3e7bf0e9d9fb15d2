"""The commands `stream-detect cluster ...`: drain and undrain nodes, and list leases."""

import os
from typing import Annotated

import typer

from stream_detect.access.audit import note
from stream_detect.cli import SettingsFile
from stream_detect.settings.file import load_settings
from stream_detect.storage.audit import AuditTable
from stream_detect.storage.database import Database
from stream_detect.storage.leases import LEADER, Leases

app = typer.Typer(help="Manage the nodes of a cluster. A running server applies a change within two seconds.")

NodeName = Annotated[
    str, typer.Argument(metavar="NODE", help="Name of the node, as shown by /api/cluster and the page.")
]


@app.command()
def drain(node: NodeName, settings: SettingsFile = None) -> None:
    """Move the cameras of a node to other nodes, and give it none until `undrain`."""
    with Database.open(load_settings(settings, os.environ).storage, alone=False, create=False) as database:
        Leases(database).drain(node, drained=True)
        note(AuditTable(database), "cluster.drain", node)
    typer.echo(f"{node} is drained: its cameras move to other nodes; those that no other node can take stay.")


@app.command()
def undrain(node: NodeName, settings: SettingsFile = None) -> None:
    """Let a node have cameras again; cameras that moved to other nodes stay there."""
    with Database.open(load_settings(settings, os.environ).storage, alone=False, create=False) as database:
        Leases(database).drain(node, drained=False)
        note(AuditTable(database), "cluster.undrain", node)
    typer.echo(f"{node} may have cameras again.")


@app.command()
def leases(settings: SettingsFile = None) -> None:
    """List the leader, which worker has which camera, and the drained nodes."""
    with Database.open(load_settings(settings, os.environ).storage, alone=False, create=False) as database:
        table = Leases(database)
        leader, held, drained = table.leader(), table.held(), table.drained()
    typer.echo(f"{LEADER}: {'nobody' if leader is None else leader.holder}")
    for name, lease in sorted(held.items()):
        typer.echo(f"{name}: {lease.holder}, number {lease.number}")
    for node in sorted(drained):
        typer.echo(f"drained: {node}")
