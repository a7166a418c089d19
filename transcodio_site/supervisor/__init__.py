"""Start, watch, restart and stop the processes of a Transcodio stack."""

from transcodio_site.supervisor.address import is_healthy, running_url
from transcodio_site.supervisor.errors import StackError, os_errors_as_stack_errors
from transcodio_site.supervisor.leftovers import stop_leftovers
from transcodio_site.supervisor.ports import check_port, free_port
from transcodio_site.supervisor.stack import Stack, running

__all__ = [
    "Stack",
    "StackError",
    "check_port",
    "free_port",
    "is_healthy",
    "os_errors_as_stack_errors",
    "running",
    "running_url",
    "stop_leftovers",
]
