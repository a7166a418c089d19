"""All settings, read from the environment: docs/configuration.md lists every variable.

Without any variable set the product runs embedded: Postgres and Valkey from wheels, data in `var/`.
"""

from transcodio_site.settings.accounts import *
from transcodio_site.settings.clients import *
from transcodio_site.settings.env import *
from transcodio_site.settings.limits import *
from transcodio_site.settings.monitoring import *
from transcodio_site.settings.queues import *
from transcodio_site.settings.recordings import *
from transcodio_site.settings.security import *
from transcodio_site.settings.services import *
from transcodio_site.settings.site import *
from transcodio_site.settings.storage import *
from transcodio_site.settings.wyoming import *
