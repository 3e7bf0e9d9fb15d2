"""Limits of the process that examines files: memory, processor time, descriptors, no network, no other programs.

On Linux, memory and processor time are always limited; network, other programs and other processes are shut off by a
seccomp filter (x86-64 and arm64), otherwise the network by a namespace, where the kernel lets an ordinary user create
one. The process can still read and write files as the user that it runs as.
"""

import contextlib
import ctypes
import math
import platform
import resource
import signal
import struct
from pathlib import Path

OPEN_FILES = 128
"""File descriptors: the model files, one media file and the pipe take some twenty."""

OPENING_BYTES = 192 << 20
"""Memory for opening a container, in addition to that of the idle process: a table of 60,000,000 samples in a file of
652 bytes takes 1.4 GB; four hours at 60 fps with sound take 40 MB."""

_BESIDE_BYTES = 1 << 30
"""Address space beyond the memory limit: mapped files, and what allocators reserve without using it."""

_NO_NEW_PRIVILEGES, _SECCOMP, _FILTER = 38, 22, 2  # linux/prctl.h
_NEW_USER_AND_NETWORK = 0x1000_0000 | 0x4000_0000  # CLONE_NEWUSER | CLONE_NEWNET
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06  # linux/bpf_common.h
_ALLOW, _REFUSE = 0x7FFF_0000, 0x0005_0000 | 1  # SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO with EPERM
_X32 = 0x4000_0000
"""System calls from this number on are the x32 ABI of x86-64, with the same effects."""

_REFUSED = {
    # socket socketpair connect accept accept4 bind listen sendto sendmsg sendmmsg, execve execveat, ptrace
    # process_vm_readv process_vm_writev, kill pidfd_send_signal, io_uring_setup
    "x86_64": (
        0xC000_003E,
        (*(41, 53, 42, 43, 288, 49, 50, 44, 46, 307), *(59, 322), *(101, 310, 311), *(62, 424), 425),
    ),
    "aarch64": (
        0xC000_00B7,
        (*(198, 199, 203, 202, 242, 200, 201, 206, 211, 269), *(221, 281), *(117, 270, 271), *(129, 424), 425),
    ),
}


def confine() -> bool:
    """Permanently drops the privileges that decoding does not need; call it before any thread is started.

    Returns:
        Whether network access is disabled.
    """
    for kind in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # sent to a whole group or service: the parent decides
        signal.signal(kind, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = OPEN_FILES if most == resource.RLIM_INFINITY else min(OPEN_FILES, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    with contextlib.suppress(OSError):  # if memory runs out, the kernel should kill this process and not the server
        Path("/proc/self/oom_score_adj").write_text("1000")
    return _filtered() or _unshared()


class MemoryLimit:
    """Memory limit for one file: small while its container is opened, then larger for decoding.

    RLIMIT_DATA counts memory that a process requests; RLIMIT_AS, which counts reserved addresses, is a second limit.

    Args:
        decoding_bytes: in addition to the current memory of the process.
    """

    def __init__(self, decoding_bytes: int) -> None:
        self._data_bytes, self._space_bytes = memory_bytes()
        self._decoding_bytes = decoding_bytes

    def open_container(self) -> None:
        """Applies the limit for opening a container."""
        self._set(min(OPENING_BYTES, self._decoding_bytes))

    def decode(self) -> None:
        """Applies the limit for decoding."""
        self._set(self._decoding_bytes)

    def _set(self, more_bytes: int) -> None:
        _soften(resource.RLIMIT_DATA, self._data_bytes + more_bytes)
        _soften(resource.RLIMIT_AS, self._space_bytes + more_bytes + _BESIDE_BYTES)


def limit_processor_time(more_s: float) -> None:
    """Makes the kernel end this process (SIGXCPU) after this much more processor time."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _soften(resource.RLIMIT_CPU, math.ceil(used.ru_utime + used.ru_stime + more_s))


def memory_bytes() -> tuple[int, int]:
    """Memory of this process: its private writable memory, and its address space."""
    with Path("/proc/self/status").open(encoding="ascii", errors="replace") as status:
        values = {name: value for name, _, value in (line.partition(":") for line in status)}
    data, space = (int(values[name].split()[0]) << 10 for name in ("VmData", "VmSize"))
    return data, space


def _soften(kind: int, limit: int) -> None:
    """Sets the soft limit, which can be raised again, up to the hard one."""
    _, most = resource.getrlimit(kind)
    resource.setrlimit(kind, (limit if most == resource.RLIM_INFINITY else min(limit, most), most))


def _filtered() -> bool:
    machine, refused = _REFUSED.get(platform.machine(), (0, ()))
    if not refused:
        return False
    program = _program(machine, refused)
    instructions = ctypes.create_string_buffer(program, len(program))
    described = struct.pack("@HP", len(program) // 8, ctypes.addressof(instructions))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    if prctl(_NO_NEW_PRIVILEGES, *map(ctypes.c_ulong, (1, 0, 0, 0))):
        return False
    return not prctl(_SECCOMP, ctypes.c_ulong(_FILTER), ctypes.create_string_buffer(described), 0, 0)


def _program(machine: int, refused: tuple[int, ...]) -> bytes:
    """The filter in BPF: forbidden calls, and any call of another architecture, fail with EPERM."""
    last = len(refused) + 5
    instructions = [
        (_LOAD, 0, 0, 4),  # architecture
        (_EQUAL, 0, last - 2, machine),
        (_LOAD, 0, 0, 0),  # number of the call
        (_AT_LEAST, last - 4, 0, _X32),
        *((_EQUAL, last - at - 1, 0, call) for at, call in enumerate(refused, 4)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    ]
    return b"".join(struct.pack("@HBBI", *each) for each in instructions)


def _unshared() -> bool:
    try:
        return not ctypes.CDLL(None).unshare(_NEW_USER_AND_NETWORK)
    except (OSError, AttributeError):
        return False
