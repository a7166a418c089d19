"""Everything that is wrong with an installation, and how to fix it: `manage.py doctor`."""

from __future__ import annotations

from transcodio_site.doctor.examination import examine
from transcodio_site.doctor.findings import Finding

__all__ = ["Finding", "examine"]
