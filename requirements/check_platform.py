"""Prints one line and fails where the locked wheels do not exist for this Python and machine.

`make` runs it before anything is installed. Python 2 has to understand it as well.
"""

from __future__ import print_function  # noqa: UP010

import os
import platform
import sys

SUPPORTED = "Linux on x86-64 or ARM64 with glibc 2.28 or newer, and Python 3.11 to 3.14 with venv"
OLDEST_PYTHON, NEWEST_PYTHON = (3, 11), (3, 14)
MACHINES = ("x86_64", "aarch64")
OLDEST_GLIBC = [2, 28]

found = ""
if not sys.platform.startswith("linux"):
    found = platform.system() or sys.platform
elif platform.machine() not in MACHINES:
    found = "Linux on " + platform.machine()
elif sys.maxsize < 1 << 32:
    found = "a 32-bit Python"
elif not OLDEST_PYTHON <= sys.version_info[:2] <= NEWEST_PYTHON:
    found = "Python " + platform.python_version()
else:
    try:
        libc = str(os.confstr("CS_GNU_LIBC_VERSION"))
        if [int(part) for part in libc.split()[1].split(".")[:2]] < OLDEST_GLIBC:
            found = libc
    except (ValueError, OSError, IndexError):  # Alpine's musl
        found = "a C library other than glibc"
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        found = "Python without the module venv (Debian, Ubuntu: apt install python3-venv)"

if found:
    print("Transcodio needs " + SUPPORTED + "; found: " + found + ".")  # noqa: T201
    sys.exit(1)
