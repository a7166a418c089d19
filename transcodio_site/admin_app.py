"""Django's admin, with the site that is ours."""

from __future__ import annotations

from django.contrib.admin.apps import AdminConfig


class AdminApp(AdminConfig):
    default_site = "accounts.admin_base.AuditedAdminSite"
