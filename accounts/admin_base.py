"""What the pages of the admin site have in common: who may open them, and who is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from accounts.audit_log import record_event
from accounts.authentication import authenticated_user
from accounts.models import Action

# Columns by which somebody could sign in as another, and that nobody has to see for it to work.
SECRETS = {
    "mfa.Authenticator": ("data",),
    "usersessions.UserSession": ("session_key",),
    "socialaccount.SocialToken": ("token", "token_secret"),
}


class AuditedAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """What is done here is told to whom it concerns: the owner of the thing, or else who did it.
    Secrets are neither shown nor asked for, nor made by hand."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """The columns of this model that are."""
        return SECRETS.get(self.opts.label, ())

    def get_exclude(self, request: HttpRequest, obj: Any = None) -> Any:
        """See Django."""
        return (*(super().get_exclude(request, obj) or ()), *self.secrets) or None

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """See Django."""
        asked = lookup.split("__")[0] in self.secrets
        return not asked and super().lookup_allowed(lookup, value, request)

    def get_search_fields(self, request: HttpRequest) -> Any:
        """See Django. Our users have no names, which libraries look for."""
        given = super().get_search_fields(request)
        return [field.replace("user__username", "user__email") for field in given]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """See Django."""
        return not self.secrets and super().has_add_permission(request)

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """See Django."""
        return _tell(request, obj, super().log_addition(request, obj, message))

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """See Django."""
        return _tell(request, obj, super().log_change(request, obj, message))

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        """See Django. Before it happens: afterwards nobody knows whose it was."""
        for obj in queryset:
            _tell(request, obj, f"Deleted {obj._meta.verbose_name} “{obj}”.")
        return super().log_deletions(request, queryset)

    def get_deleted_objects(
        self, objs: Sequence[Model] | QuerySet[Model], request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """What was chosen by name, and of what hangs on it how many: who deletes an account is not
        read its transcripts."""
        _, counts, lacking, protected = super().get_deleted_objects(objs, request)
        return [str(obj) for obj in objs], counts, lacking, protected


class SuperuserOnlyAdmin(AuditedAdmin):
    """Pages of libraries: addresses, accounts elsewhere, groups. Who adds or changes one could sign
    in as a superuser, or become one; to take one away gives nothing."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Superusers."""
        return authenticated_user(request).is_superuser and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Superusers."""
        return authenticated_user(request).is_superuser and super().has_change_permission(
            request, obj
        )


ROOMS = ("accounts.", "transcriptions.")


class AuditedAdminSite(admin.AdminSite):
    """The admin site. Libraries bring pages of their own, by which second factors or addresses are
    taken away: no page of it is silent about what it does, and what cannot be told is not there."""

    def register(
        self,
        model_or_iterable: Any,
        admin_class: type[admin.ModelAdmin[Any]] | None = None,
        **options: Any,
    ) -> None:
        """See Django."""
        given = admin_class or admin.ModelAdmin
        about: dict[str, Any] = {"__module__": given.__module__}
        if given.__module__.startswith(ROOMS):
            told = type(given.__name__, (AuditedAdmin, given), about)
        else:
            # Their actions change rows without a word; the forms can do the same, and tell.
            told = type(given.__name__, (SuperuserOnlyAdmin, given), about | {"actions": ()})
        super().register(model_or_iterable, told, **options)


def _tell(request: HttpRequest, obj: Any, entry: Any) -> Any:
    mine = obj.pk if isinstance(obj, get_user_model()) else None
    concerned = mine or getattr(obj, "owner_id", None) or getattr(obj, "user_id", None)
    record_event(request, Action.ADMIN, f"{request.user}: {entry}", user_id=concerned)
    return entry


class ForAllStaff(admin.ModelAdmin):  # type: ignore[type-arg]
    """Staff see it without any other right: to look is their work."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        """All staff."""
        return bool(request.user.is_active and getattr(request.user, "is_staff", False))

    def has_view_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """All staff."""
        return self.has_module_permission(request)


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows are written by the work itself, and by nobody here."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Nobody."""
        return False


class AppendOnlyAdmin(ReadOnlyAdmin):
    """Nor do they go."""

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Nobody."""
        return False
