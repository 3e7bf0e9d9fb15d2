"""The commands `stream-detect cluster ...`: drain and undrain nodes, and list leases."""

import os
from typing import Annotated

import typer

from stream_detect.cli import SettingsFile
from stream_detect.settings.file import load_settings
from stream_detect.storage.database import Database
from stream_detect.storage.leases import LEADER, Leases

app = typer.Typer(help="Nodes of a cluster. A server may run meanwhile; it follows within two seconds.")

NodeName = Annotated[str, typer.Argument(metavar="NODE", help="Its name, as /api/cluster and the page show it.")]


@app.command()
def drain(node: NodeName, settings: SettingsFile = None) -> None:
    """Have a node hand its cameras over to others, and watch none until `undrain`."""
    with Database.open(load_settings(settings, os.environ).storage, alone=False, create=False) as database:
        Leases(database).drain(node, drained=True)
    typer.echo(f"{node} is drained: its cameras go to other nodes, and stay where none can take them.")


@app.command()
def undrain(node: NodeName, settings: SettingsFile = None) -> None:
    """Let a node watch cameras again; those that went elsewhere stay there."""
    with Database.open(load_settings(settings, os.environ).storage, alone=False, create=False) as database:
        Leases(database).drain(node, drained=False)
    typer.echo(f"{node} may watch cameras again.")


@app.command()
def leases(settings: SettingsFile = None) -> None:
    """Show who leads, which worker has which camera, and which nodes are drained."""
    with Database.open(load_settings(settings, os.environ).storage, alone=False, create=False) as database:
        table = Leases(database)
        leader, held, drained = table.leader(), table.held(), table.drained()
    typer.echo(f"{LEADER}: {'nobody' if leader is None else leader.holder}")
    for name, lease in sorted(held.items()):
        typer.echo(f"{name}: {lease.holder}, number {lease.number}")
    for node in sorted(drained):
        typer.echo(f"drained: {node}")
