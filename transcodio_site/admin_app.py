"""Django's admin app with our own admin site."""

from __future__ import annotations

from django.contrib.admin.apps import AdminConfig


class AdminApp(AdminConfig):
    default_site = "accounts.admin_base.AuditedAdminSite"
