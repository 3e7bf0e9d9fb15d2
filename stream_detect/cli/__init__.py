"""The command line. A command imports what it needs when it runs: `serve` and `--help` never load TensorFlow.

A `StreamDetectError` is one line on stderr and exit status 2. Any other error is status 2 as well: 1 means that a
command found something, such as a fake or a broken hash chain.
"""

import gc
import importlib
import io
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from stream_detect import __version__
from stream_detect.errors import StreamDetectError
from stream_detect.extras import require, require_keras

if TYPE_CHECKING:
    from stream_detect.settings import Settings

app = typer.Typer(
    help="Real-time deepfake detector for live video.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

SettingsFile = Annotated[
    Path | None,
    typer.Option("--settings", metavar="FILE", help="Settings file. Default: stream-detect.yaml in this folder."),
]


class _PassedOn(TyperCommand):
    """A command whose arguments are read by the command in another module, including `--help` and `--`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.args = list(args)
        return []


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command and exits.

    Args:
        arguments: arguments after the program's name; None for those of the process.
    """
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show is not an error
    try:
        app(args=arguments, prog_name="stream-detect")
    except StreamDetectError as error:
        sys.stderr.write(f"stream-detect: {error}\n")
        sys.exit(2)
    except SystemExit as ended:  # Typer's own status for a broken pipe or an interrupt is 1
        sys.exit(2 if ended.code == 1 and not isinstance(ended.__context__, typer.Exit) else ended.code)
    except OSError as error:  # the disk is full, or a folder cannot be written
        sys.stderr.write(f"stream-detect: {error}\n")
        sys.exit(2)
    except Exception:  # noqa: BLE001 - the program's edge
        traceback.print_exc()
        sys.exit(2)


def _open_closed_streams() -> None:
    """Opens standard streams that are closed, because otherwise one of our files would get such a stream's number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number: this one
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))


def _version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(f"stream-detect {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Real-time deepfake detector for live video."""


@app.command()
def serve(
    settings: SettingsFile = None,
    *,
    workers: Annotated[
        int | None, typer.Option(min=0, max=64, help="Worker processes per node, which share the cameras; see cluster.")
    ] = None,
    ray: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Ray cluster whose nodes share the cameras, as host:port.")
    ] = None,
) -> None:
    """Serve the page, the live check and the cameras until interrupted."""
    from stream_detect.app.supervisor import Hangups

    hangups = Hangups()  # first: without a handler a SIGHUP ends the process
    from stream_detect.settings.file import file_in_use, load_settings

    file = file_in_use(settings, os.environ)  # if it disappears from now on, this is an error and not "no cameras"

    # The command line takes precedence over the environment, which takes precedence over the file.
    given = {"STREAM_DETECT_CLUSTER__WORKERS": workers, "STREAM_DETECT_CLUSTER__ADDRESS": ray}
    environment = {**os.environ, **{name: str(value) for name, value in given.items() if value is not None}}

    def read() -> "Settings":
        return load_settings(file, environment)

    first = read()  # before the imports, which take a second and more: a mistake is reported at once
    gc.disable()  # of 2 s that a start computes, collections took 0.2 s and found nothing; `serve` enables them
    try:
        from stream_detect.app.server import serve as serve_until_stopped
        from stream_detect.app.service import create_service

        serve_until_stopped(first, lambda given, certificate: create_service(given, read, certificate), hangups)
    finally:
        gc.enable()


@app.command()
def doctor(settings: SettingsFile = None) -> None:
    """Check whether this machine can run the server, and say what is missing."""
    from stream_detect.cli.doctor import examine, table

    findings = examine(settings, os.environ)
    typer.echo(table(findings))
    if not all(finding.well for finding in findings):
        raise typer.Exit(1)


@app.command()
def purge(
    settings: SettingsFile = None,
    *,
    days: Annotated[
        float | None, typer.Option(min=0, help="Delete the evidence of events older than this. Default: evidence.days.")
    ] = None,
    all_evidence: Annotated[bool, typer.Option("--all-evidence", help="Delete evidence of any age.")] = False,
    camera: Annotated[str | None, typer.Option(metavar="NAME", help="Delete the evidence of this camera only.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Delete evidence (pictures, faces, clips) of fake events; keep the events. A server may be running.

    In a cluster of several nodes, each has the evidence of its cameras: run the command on each of them.
    """
    from dataclasses import replace

    from stream_detect.access.audit import note
    from stream_detect.evidence.folder import EvidenceFolder
    from stream_detect.evidence.retention import Purge
    from stream_detect.settings.file import load_settings
    from stream_detect.storage.audit import AuditTable
    from stream_detect.storage.database import Database
    from stream_detect.storage.events import Events

    if all_evidence and days is not None:
        raise typer.BadParameter("expected --days or --all-evidence, received both")
    given = load_settings(settings, os.environ)
    wanted = Purge(0 if all_evidence else given.evidence.days if days is None else days, camera)
    folder, elsewhere = EvidenceFolder.of(given.storage, given.evidence), 0
    with Database.open(given.storage, alone=False, create=False) as database:
        events = Events(database)
        found = [event.evidence for event in wanted.wanted(events) if event.evidence is not None]
        if database.dialect != "sqlite":  # which several nodes may share, each with files of its own
            wanted = replace(wanted, here=folder)
            elsewhere = sum(not folder.holds(evidence) for evidence in found)
        sizes = [evidence.bytes for evidence in found if wanted.is_meant(evidence)]
        if sizes and not yes:
            typer.confirm(f"Delete the evidence of {len(sizes)} events, {sum(sizes) / 1e6:.1f} MB?", abort=True)
        gone = wanted.do(events, folder) if sizes else None
        if gone:
            note(AuditTable(database), "evidence.purge", camera or "", f"{gone.events} events, {gone.bytes} bytes")
    typer.echo(
        f"Deleted: {gone.events} events, {gone.bytes / 1e6:.1f} MB."
        if gone
        else "Nothing to delete. The evidence of ongoing events, and of the last five minutes, is always kept."
    )
    if elsewhere:
        typer.echo(f"The evidence of {elsewhere} events is not in {given.storage.folder}: run this on their nodes too.")


@app.command(name="verify-evidence")
def verify_evidence(
    settings: SettingsFile = None,
    *,
    head: Annotated[
        str | None,
        typer.Option(metavar="HASH", help="Newest hash printed by an earlier run; the chain must contain it."),
    ] = None,
    signers: Annotated[
        Path | None, typer.Option(metavar="FILE", help="PEM certificates that signed evidence in the past.")
    ] = None,
) -> None:
    """Verify that no event and no evidence file was changed, removed or reordered. A server may be running.

    Signatures are verified if present: the signer must be the one in the settings, or in review.trust_anchors.

    Exit status 0: all intact; 1: faults were found and are listed; 2: verification was not possible.
    """
    from stream_detect.evidence.folder import EvidenceFolder
    from stream_detect.evidence.verify import signature_line, verify
    from stream_detect.media.credentials import CredentialsReader, certificates_of, trust_anchors_of
    from stream_detect.settings.file import load_settings
    from stream_detect.storage.chain import Chain
    from stream_detect.storage.database import Database

    given = load_settings(settings, os.environ)
    own = certificates_of(given.evidence.signing_certificate, "evidence.signing_certificate")
    reader = CredentialsReader(
        trust_anchors_of(given.review.trust_anchors), own + certificates_of(signers, "--signers")
    )
    with Database.open(given.storage, alone=False, create=False) as database:
        found = verify(Chain(database), EvidenceFolder.of(given.storage, given.evidence), reader, head)
    for problem in found.problems:
        typer.echo(problem)
    typer.echo(f"{found.entries} entries and {found.files} files were compared; the newest hash is {found.head or '-'}")
    typer.echo(signature_line(found.signatures))
    if found.problems:
        raise typer.Exit(1)
    typer.echo("The chain is intact.")


@app.command(name="verify-audit")
def verify_audit(
    settings: SettingsFile = None,
    *,
    head: Annotated[
        str | None,
        typer.Option(metavar="HASH", help="Newest hash printed by an earlier run; the chain must contain it."),
    ] = None,
) -> None:
    """Verify that no entry of the audit log was changed, removed or reordered. A server may be running.

    Exit status 0: all intact; 1: faults were found and are listed; 2: verification was not possible.
    """
    from stream_detect.access.audit import verify_audit as verify
    from stream_detect.settings.file import load_settings
    from stream_detect.storage.audit import AuditTable
    from stream_detect.storage.database import Database

    given = load_settings(settings, os.environ)
    with Database.open(given.storage, alone=False, create=False) as database:
        found = verify(AuditTable(database), head)
    for problem in found.problems:
        typer.echo(problem)
    typer.echo(f"{found.entries} entries were compared; the newest hash is {found.head or '-'}")
    if found.problems:
        raise typer.Exit(1)
    typer.echo("The log is intact.")


@app.command(name="analyze", cls=_PassedOn)
def _analyze(context: typer.Context) -> None:
    """Examine pictures and videos for fake faces."""
    try:
        from stream_detect.cli.analyze import run
    except ImportError as error:  # Python's own status for it is 1, which means that a fake was found
        sys.stderr.write(f"stream-detect: a required package is not installed: {error}\n")
        sys.exit(2)
    raise typer.Exit(run(context.args))


@app.command(name="train", cls=_PassedOn)
def _train(context: typer.Context) -> None:
    """Train a model on a folder of labelled faces."""
    require_keras("stream-detect train")
    _run_elsewhere("stream_detect.cli.train", ["train", *context.args])


@app.command(name="evaluate", cls=_PassedOn)
def _evaluate(context: typer.Context) -> None:
    """Measure models on labelled pictures and videos."""
    require("train", "stream-detect evaluate")
    _run_elsewhere("stream_detect.cli.evaluate", context.args, "stream-detect evaluate")


@app.command(name="explain", cls=_PassedOn)
def _explain(context: typer.Context) -> None:
    """Draw a heat map of what a model saw in a face."""
    _run_elsewhere("stream_detect.cli.explain", context.args, "stream-detect explain")


@app.command(name="models", cls=_PassedOn)
def _models(context: typer.Context) -> None:
    """List, check and import model bundles."""
    _run_elsewhere("stream_detect.cli.models", context.args, "stream-detect models")


@app.command(name="users", cls=_PassedOn)
def _users(context: typer.Context) -> None:
    """Add, list, change and remove users who sign in."""
    _run_elsewhere("stream_detect.cli.users", context.args, "stream-detect users")


@app.command(name="cluster", cls=_PassedOn)
def _cluster(context: typer.Context) -> None:
    """Drain nodes of a cluster, and list which worker has which camera."""
    _run_elsewhere("stream_detect.cli.cluster", context.args, "stream-detect cluster")


def _run_elsewhere(module: str, arguments: list[str], name: str = "stream-detect") -> None:
    elsewhere: typer.Typer = importlib.import_module(module).app
    elsewhere(args=arguments, prog_name=name)
