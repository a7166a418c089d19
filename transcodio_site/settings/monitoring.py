"""Monitoring: all of it is off, or visible on this machine only, unless it is configured."""

from __future__ import annotations

from transcodio_site.settings.env import env

# Bearer token of /metrics and of the details of /health/ready. Without one, both are answered only
# to direct requests from this machine: see monitoring/access.py.
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
METRICS_PORT = env.int("METRICS_PORT", default=0)  # where the worker serves /metrics; 0: nowhere
# Spans are exported to this collector over OTLP/HTTP; empty: to none.
OTEL_EXPORTER_OTLP_ENDPOINT = env.str("OTEL_EXPORTER_OTLP_ENDPOINT", default="")
# Where unexpected errors are reported; empty: nowhere.
SENTRY_DSN = env.str("SENTRY_DSN", default="")
SENTRY_ENVIRONMENT = env.str("SENTRY_ENVIRONMENT", default="production")
