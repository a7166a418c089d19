"""Confines its own process, then replaces itself by the program that opens untrusted files.

Run by `sandbox.run` as `python -I -S sandbox_launcher.py PARENT USER LIMITS PROGRAM ARGUMENT...`.
From outside, limits would be set only after the program has started; and after a fork, a process
with threads can safely do no more than exec. It runs for every upload, so it imports little:
`signal` would take a quarter of its time for enumerations.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]
import ctypes
import os
import resource
import sys

LINUX = sys.platform == "linux"
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38  # linux/prctl.h
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000  # linux/sched.h
# User ids that no service and no person has (https://systemd.io/UIDS-GIDS). Each process gets its
# own, so that it can neither signal nor trace another one.
FIRST_ID, ID_COUNT = 60_578, 606
MAX_THREADS = 64  # of one such user


def main(parent: str, user: str, limits: str, program: str, *arguments: str) -> None:
    """`parent` is the id of the process to end with, `user` is "unprivileged" or "same", and
    `limits` are such as "RLIMIT_CORE=0,RLIMIT_CPU=60"."""
    for limit in filter(None, limits.split(",")):
        name, _, value = limit.partition("=")
        _limit(name, int(value))
    target: str | int = program
    if LINUX:
        # By descriptor: the folders above it may be closed to the unprivileged user.
        descriptor = os.open(program, os.O_RDONLY)
        if _confine(user == "unprivileged"):
            os.set_inheritable(descriptor, True)  # for a script, which its interpreter opens
            target = descriptor
        _die_with(int(parent))
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them
        signal.signal(number, signal.SIG_DFL)
    os.execve(target, [program, *arguments], {})  # noqa: S606 - there is no shell on purpose


def _limit(name: str, value: int) -> None:
    kind = getattr(resource, name)
    hard = resource.getrlimit(kind)[1]
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, value))


def _confine(unprivileged: bool) -> bool:
    """Leave the network and root's privileges, as far as the kernel allows. True if the user
    changed."""
    libc = ctypes.CDLL(None)
    has_left = libc.unshare(CLONE_NEWNET) == 0  # only root may
    has_changed = unprivileged and os.geteuid() == 0 and _become_nobody()
    if not has_left:
        libc.unshare(CLONE_NEWUSER | CLONE_NEWNET)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    return has_changed


def _become_nobody() -> bool:
    """False in a container that has no such user id."""
    number = FIRST_ID + os.getpid() % ID_COUNT
    try:
        os.setgroups([])
        os.setresgid(number, number, number)
        os.setresuid(number, number, number)
    except OSError:
        return False
    _limit("RLIMIT_NPROC", MAX_THREADS)
    return True


def _die_with(parent: int) -> None:
    """Be killed when the parent ends. To be called last: a change of the user resets it.

    The kernel watches the thread that has started this process, and that one waits for its end.
    """
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before
        signal.raise_signal(signal.SIGKILL)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Exception as error:
        sys.stderr.write(f"{sys.argv[4]} could not be started: {error}\n")
        sys.stderr.flush()
        signal.raise_signal(signal.SIGKILL)  # no exit status of the program itself
