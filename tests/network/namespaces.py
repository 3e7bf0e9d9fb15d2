"""Hosts with their own networks on this machine: Linux network namespaces, joined by a router."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

PROGRAMS = ("ip", "nft", "sysctl")
WHERE = "/usr/sbin:/sbin:/usr/bin:/bin"


@dataclass
class Host:
    """A network namespace.

    Args:
        name: name of the namespace.
        address: its address in the router's network.
    """

    name: str
    address: str

    @property
    def within(self) -> tuple[str, ...]:
        """Prefix of a command that runs in the namespace."""
        return (_program("ip"), "netns", "exec", self.name)

    def run(self, *command: str) -> str:
        """Output of a command, which has to succeed."""
        done = subprocess.run([*self.within, *command], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def filter(self, rules: str) -> None:
        """Loads rules of nftables."""
        done = subprocess.run(
            [*self.within, _program("nft"), "-f", "-"], input=rules, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


@dataclass
class Field:
    """Hosts around a router, each in its own network; by default they reach nothing else."""

    router: Host
    _stack: contextlib.ExitStack
    _hosts: dict[str, Host] = field(default_factory=dict)

    def host(self, name: str, network: str, *, routed: bool = True) -> Host:
        """Adds a host.

        Args:
            name: a short name.
            network: the first three numbers of a /24, in which the router is .1 and the host .2.
            routed: whether the router is its default gateway.
        """
        made = self._hosts[name] = _namespace(self._stack, name, f"{network}.2")
        ours, routers = f"{name}0", f"to-{name}"
        _ip("link", "add", ours, "netns", made.name, "type", "veth", "peer", "name", routers, "netns", self.router.name)
        for host, interface, address in ((made, ours, made.address), (self.router, routers, f"{network}.1")):
            _ip("-n", host.name, "address", "add", f"{address}/24", "dev", interface)
            _ip("-n", host.name, "link", "set", interface, "up")
        if routed:
            _ip("-n", made.name, "route", "add", "default", "via", f"{network}.1")
        return made


@contextlib.contextmanager
def a_field() -> Iterator[Field]:
    """A forwarding router; skips the test if network namespaces are not available."""
    absent = [name for name in PROGRAMS if shutil.which(name, path=WHERE) is None]
    if absent:
        pytest.skip(f"{absent[0]} is absent: apt-get install iproute2 nftables procps")
    with contextlib.ExitStack() as stack:
        router = _namespace(stack, "router", "")
        router.run(_program("sysctl"), "-q", "-w", "net.ipv4.ip_forward=1")
        yield Field(router, stack)


def _namespace(stack: contextlib.ExitStack, name: str, address: str) -> Host:
    host = Host(f"sd{os.getpid()}-{name}", address)
    made = subprocess.run([_program("ip"), "netns", "add", host.name], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        pytest.skip(f"network namespaces need root and CAP_SYS_ADMIN: {made.stderr.strip()}")
    stack.callback(_ip, "netns", "delete", host.name)
    _ip("-n", host.name, "link", "set", "lo", "up")
    return host


def _ip(*arguments: str) -> None:
    subprocess.run([_program("ip"), *arguments], check=True, capture_output=True, timeout=60)


def _program(name: str) -> str:
    return shutil.which(name, path=WHERE) or name
