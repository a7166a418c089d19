"""How dates are written in English, on all pages and in the admin site (FORMAT_MODULE_PATH)."""

from __future__ import annotations

DATE_FORMAT = SHORT_DATE_FORMAT = "M j, Y"  # Nov 25, 2026
TIME_FORMAT = "g:i A"  # 9:13 PM
DATETIME_FORMAT = SHORT_DATETIME_FORMAT = "M j, Y, g:i A"
