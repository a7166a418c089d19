"""The faults that are injected. Each one is over when its function returns."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from benchmarks.chaos.site import SILENCE_S, Site

AWAY_S = 30.0


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to break the service.

    `early` faults come while recordings are uploaded and preprocessed, others at a random segment.
    `lasts` is how long the service cannot work, in seconds. `asked` faults fail a recording, whose
    owner has to resume it.
    """

    name: str
    what: str  # for a table
    inject: Callable[[Site], None]
    early: bool = False
    lasts: float = 0.0

    @property
    def interrupts(self) -> bool:
        """Whether requests or work end in the middle. Only then may files without a recording be
        left, which the service deletes after a day."""
        return not self.name.startswith(("storage", "engine-", "clock-"))


def killed(*names: str) -> Callable[[Site], None]:
    """`kill -9` of these processes."""

    def inject(site: Site) -> None:
        for name in names:
            if not site.kill(name):
                raise RuntimeError(f"there is no process to kill: {name}")

    return inject


def suspended(name: str, seconds: float = AWAY_S) -> Callable[[Site], None]:
    """The processes stop running (SIGSTOP) and continue after some seconds."""

    def inject(site: Site) -> None:
        processes = [
            member
            for process in site.processes(name)
            for member in (process, *process.children(recursive=True))
        ]
        if not processes:
            raise RuntimeError(f"there is no process to suspend: {name}")
        _for_each(processes, psutil.Process.suspend)
        time.sleep(seconds)
        _for_each(processes, psutil.Process.resume)

    return inject


def kept_away(name: str, seconds: float = AWAY_S) -> Callable[[Site], None]:
    """The process is killed whenever it runs, for some seconds."""

    def inject(site: Site) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            site.kill(name)
            time.sleep(0.2)

    return inject


def asked(fault: str, content: str = "") -> Callable[[Site], None]:
    """The engine or the storage fails once."""
    return lambda site: site.ask_for(fault, content)


def killed_supervisor(site: Site) -> None:
    """The supervisor dies, and the service is started again immediately."""
    assert site.stack.process  # noqa: S101 - for mypy
    site.stack.process.kill()
    site.stack.process.wait()
    site.stack.start()


def restarted(site: Site) -> None:
    """The service is stopped and started while it works."""
    site.stack.stop()
    site.stack.start()


def full_disk(site: Site) -> None:
    """No space is left in the data folder for a while."""
    filler = site.stack.var / "filler"
    try:
        with filler.open("wb") as file:
            while file.write(bytes(1 << 20)):
                file.flush()
    except OSError:  # it is full
        time.sleep(AWAY_S / 2)
    finally:
        filler.unlink()


def moved_clock(hours: int) -> Callable[[Site], None]:
    """The clock of all processes jumps."""
    return lambda site: site.move_clock(hours)


def _for_each(processes: list[psutil.Process], action: Callable[[psutil.Process], object]) -> None:
    for process in processes:
        try:
            action(process)
        except psutil.NoSuchProcess:
            continue


FAULTS = (
    Fault("worker-preprocess", "The worker is killed in preprocessing", killed("worker"), True),
    Fault("worker", "The worker is killed while it recognizes speech", killed("worker")),
    Fault("web-upload", "The web server is killed during uploads", killed("web"), True),
    Fault("web", "The web server is killed with followers", killed("web")),
    Fault("beat", "The scheduler is killed", killed("beat")),
    Fault("worker-beat", "Worker and scheduler are killed", killed("worker", "beat")),
    Fault("supervisor", "The supervisor is killed and started again", killed_supervisor),
    Fault("restart", "The service is restarted with jobs in flight", restarted),
    Fault("valkey", "Valkey is killed and comes back empty", killed("valkey")),
    Fault("valkey-away", "Valkey is away for 30 s", kept_away("valkey"), lasts=AWAY_S),
    Fault("valkey-hangs", "Valkey hangs for 30 s", suspended("valkey"), lasts=AWAY_S),
    Fault("postgres", "PostgreSQL is killed", killed("postgres")),
    Fault("postgres-away", "PostgreSQL is away for 30 s", kept_away("postgres"), lasts=AWAY_S),
    Fault("postgres-hangs", "PostgreSQL hangs for 30 s", suspended("postgres"), lasts=AWAY_S),
    Fault("storage", "The storage fails once for an upload", asked("storage"), True),
    Fault("engine-raises", "The engine fails unexpectedly", asked("raise")),
    Fault("engine-garbage", "The engine returns impossible times", asked("garbage")),
    Fault("engine-memory", "The engine runs out of memory", asked("memory")),
    Fault("engine-away", "The engine cannot be reached", asked("away"), lasts=30),
    Fault("engine-hangs", "The engine hangs forever", asked("hang"), lasts=SILENCE_S + 30),
    Fault("engine-cold", "The engine starts cold for two minutes", asked("cold", "120"), True, 120),
    Fault("clock-forward", "The clock moves forward by an hour", moved_clock(1)),
    Fault("clock-back", "The clock moves back by an hour", moved_clock(-1)),
)
# Only root can mount a small disk.
FULL_DISK = Fault("disk-full", "No space is left for 15 s", full_disk, True, AWAY_S / 2)
