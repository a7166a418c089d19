"""Base classes of the admin site: who may open its pages, and the audit log of what they do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.db.models import Model, OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.utils.text import capfirst
from django.utils.translation import gettext

from accounts import admin_menu
from accounts.audit_log import record_event
from accounts.authentication import authenticated_user
from accounts.models import Action

# Fields that would let staff sign in as another user. Admin pages never show them.
SECRET_FIELDS = {
    "mfa.Authenticator": ("data",),
    "usersessions.UserSession": ("session_key",),
    "socialaccount.SocialToken": ("token", "token_secret"),
}
# Related rows shown in the lists of libraries, which Django would query for each row.
LISTED_RELATIONS = {"socialaccount.SocialToken": ("app", "account__user")}
# Objects whose name, a title or an address, must not be copied into the log of another account, or
# outlive them: the log has their id instead.
UNNAMED_MODELS = ("transcriptions.Transcription", "accounts.Invitation")
SAMPLE_ROWS = 1000  # in which a filter looks for values
OWN_APPS = ("accounts.", "transcriptions.")  # prefixes of modules


class RecentValuesFilter(admin.AllValuesFieldListFilter):
    """Offers the values of the most recent rows. Django's filter reads all rows of the table
    whenever the page is shown."""

    def __init__(
        self,
        field: Any,
        request: HttpRequest,
        params: dict[str, list[str]],
        model: type[Model],
        model_admin: admin.ModelAdmin[Any],
        field_path: str,
    ) -> None:
        super().__init__(field, request, params, model, model_admin, field_path)
        rows = model_admin.get_queryset(request).order_by("-pk")[:SAMPLE_ROWS]
        values = {*rows.values_list(field.name, flat=True), *(self.lookup_val or ())}
        self.lookup_choices: Any = sorted(values)

    def choices(self, changelist: Any) -> Iterator[Any]:
        """The choices, with a name for the empty value."""
        for choice in super().choices(changelist):
            yield {**choice, "display": choice["display"] or gettext("None")}


class AuditedAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Record every change in the audit log of the object's owner, or else of the acting user.

    Secret fields are neither shown nor searchable, and rows that have them cannot be added.
    """

    @property
    def secret_fields(self) -> tuple[str, ...]:
        """The secret fields of this model."""
        return SECRET_FIELDS.get(self.opts.label, ())

    @property
    def menu_name(self) -> str:
        """The name of the list in the menu."""
        name = admin_menu.NAMES.get(self.opts.label, self.opts.verbose_name_plural)
        return capfirst(str(name))

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list, under its name in the menu."""
        return super().changelist_view(request, {"title": self.menu_name, **(extra_context or {})})

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """The form, which links back to the list."""
        context = {"menu_name": self.menu_name, **(extra_context or {})}
        return super().changeform_view(request, object_id, form_url, context)

    def get_exclude(self, request: HttpRequest, obj: Any = None) -> Any:
        """Exclude secret fields from the form."""
        return (*(super().get_exclude(request, obj) or ()), *self.secret_fields) or None

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Forbid filtering by secret fields, which would reveal them one character at a time."""
        is_secret = lookup.split("__")[0] in self.secret_fields
        return not is_secret and super().lookup_allowed(lookup, value, request)

    def get_search_fields(self, request: HttpRequest) -> Any:
        """Search by email address where a library's admin searches by user name: our users have
        none."""
        fields = super().get_search_fields(request)
        return [field.replace("user__username", "user__email") for field in fields]

    def get_list_select_related(self, request: HttpRequest) -> Any:
        """Follow foreign keys in the query of the list, including nullable ones."""
        related = LISTED_RELATIONS.get(self.opts.label)
        return related or super().get_list_select_related(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Forbid adding rows that have secret fields."""
        return not self.secret_fields and super().has_add_permission(request)

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Record the addition in the audit log too."""
        return self._record(request, obj, super().log_addition(request, obj, message))

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Record the change in the audit log too."""
        return self._record(request, obj, super().log_change(request, obj, message))

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        """Record the deletions in the audit log too. Django calls this before it deletes, while the
        owners are still known."""
        entries = super().log_deletions(request, queryset)
        for obj, entry in zip(queryset, entries, strict=True):
            self._record(request, obj, entry)
        return entries

    def _record(self, request: HttpRequest, obj: Any, entry: LogEntry) -> LogEntry:
        """Record `entry` in the audit log of the owner of `obj`, and return it.

        Django's own entry keeps the id in place of the name: it outlives the object and its owner.
        """
        is_named = self.opts.label not in UNNAMED_MODELS
        entry.object_repr = str(obj if is_named else obj.pk)
        detail = str(entry)
        if entry.is_deletion():
            detail = gettext("Deleted %(model)s “%(object)s”.")
            detail %= {"model": obj._meta.verbose_name, "object": entry.object_repr}
        record_event(request, Action.ADMIN, detail, user_id=_owner_id(obj))
        entry.object_repr = str(obj.pk)
        entry.save(update_fields=["object_repr"])
        return entry

    def get_deleted_objects(
        self, objs: Sequence[Model] | QuerySet[Model], request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """Name only the selected objects, and count related ones: the confirmation page of deleting
        an account must not list the titles of its recordings."""
        _, counts, perms_needed, protected = super().get_deleted_objects(objs, request)
        return [str(obj) for obj in objs], counts, perms_needed, protected


class SuperuserOnlyAdmin(AuditedAdmin):
    """Base class for the admin pages of libraries: email addresses, connected accounts, groups.

    Adding or changing such a row could give access to the account of a superuser, so only
    superusers may. Deleting one gives no access and requires the usual permission.
    """

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Only superusers."""
        return authenticated_user(request).is_superuser and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only superusers."""
        return authenticated_user(request).is_superuser and super().has_change_permission(
            request, obj
        )


class AuditedAdminSite(admin.AdminSite):
    """The admin site. It adds the audit log to every registered page, including those of libraries,
    which can remove second factors and email addresses."""

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """The menu in groups; for the page of an app, its models."""
        apps = super().get_app_list(request, app_label)
        return apps if app_label else admin_menu.grouped(apps)

    def register(
        self,
        model_or_iterable: Any,
        admin_class: type[admin.ModelAdmin[Any]] | None = None,
        **options: Any,
    ) -> None:
        """Register a subclass of `admin_class` and AuditedAdmin or SuperuserOnlyAdmin."""
        base = admin_class or admin.ModelAdmin
        attributes: dict[str, Any] = {"__module__": base.__module__}
        if base.__module__.startswith(OWN_APPS):
            audited = type(base.__name__, (AuditedAdmin, base), attributes)
        else:
            # Actions of libraries change rows without logging it; the forms can do the same, and
            # log it.
            attributes["actions"] = ()
            audited = type(base.__name__, (SuperuserOnlyAdmin, base), attributes)
        super().register(model_or_iterable, audited, **options)


def email_of(column: str) -> Subquery:
    """The email address of the account whose number is in that column, for rows that outlive it;
    None after it was deleted."""
    return Subquery(get_user_model()._default_manager.filter(pk=OuterRef(column)).values("email"))


def _owner_id(obj: Any) -> int | None:
    """The id of the user who owns `obj`; None if it has no owner."""
    user_pk = obj.pk if isinstance(obj, get_user_model()) else None
    return user_pk or getattr(obj, "owner_id", None) or getattr(obj, "user_id", None)


class StaffReadableAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """All staff may view these rows, without any other permission."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        """All staff."""
        return bool(request.user.is_active and getattr(request.user, "is_staff", False))

    def has_view_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """All staff."""
        return self.has_module_permission(request)


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows that only the service writes."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Always False."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Always False."""
        return False


class AppendOnlyAdmin(ReadOnlyAdmin):
    """Rows that only the service writes, and that are never deleted."""

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Always False."""
        return False
