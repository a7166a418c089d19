"""Users and plans in the admin site."""

from __future__ import annotations

from typing import Any

from allauth.account.models import EmailAddress
from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm
from django.contrib.auth.forms import UserChangeForm as DjangoUserChangeForm
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.account_deletion import request_deletion
from accounts.authentication import authenticated_user
from accounts.models import Plan, User


class UniqueEmailMixin:
    """Refuses an address that another user has verified: both would get the same emails."""

    instance: User
    cleaned_data: dict[str, Any]

    def clean_email(self) -> str:
        """Raises ValidationError. Whether an account has the address is checked by the model."""
        email = User.objects.normalize_email(self.cleaned_data["email"])
        verified = EmailAddress.objects.filter(email=email, verified=True)
        if verified.exclude(user=self.instance.pk).exists():
            raise forms.ValidationError(gettext("Another user has this email address."))
        return email


class UserCreationForm(UniqueEmailMixin, AdminUserCreationForm):  # type: ignore[type-arg]
    class Meta:
        model = User
        fields = ("email",)


class UserChangeForm(UniqueEmailMixin, DjangoUserChangeForm):  # type: ignore[type-arg]
    class Meta:
        model = User
        fields = "__all__"


@admin.register(User)
class UserAdmin(DjangoUserAdmin):  # type: ignore[type-arg]
    form = UserChangeForm
    add_form = UserCreationForm
    ordering = ("email",)
    list_display = ("email", "plan", "is_active", "is_staff", "date_joined", "last_login")
    list_select_related = ("plan",)
    list_filter = ("plan", "is_active", "is_staff")
    search_fields = ("email", "first_name", "last_name")
    fieldsets = (
        (None, {"fields": ("email", "password")}),
        (_("Personal info"), {"fields": ("first_name", "last_name")}),
        (_("Plan"), {"fields": ("plan",)}),
        (_("Permissions"), {"fields": ("is_active", "is_staff", "is_superuser", "groups")}),
        (_("Important dates"), {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = (
        (
            None,
            {
                "classes": ("wide",),
                "fields": ("email", "usable_password", "password1", "password2"),
            },
        ),
    )

    readonly_fields = ("last_login", "date_joined")
    filter_horizontal = ()  # Django's widget has no accessible names

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Only superusers grant permissions and change addresses: other staff could give themselves
        permissions, or take over accounts by resetting the password."""
        fields = super().get_readonly_fields(request, obj)
        if request.user.is_superuser:
            return fields
        return (*fields, *(["email"] if obj else []), "is_staff", "is_superuser", "groups")

    def user_change_password(
        self, request: HttpRequest, id: str, form_url: str = ""
    ) -> HttpResponse:
        """Only superusers set passwords: other staff could sign in with them, and read what the
        users keep here."""
        if not authenticated_user(request).is_superuser:
            raise PermissionDenied
        return super().user_change_password(request, id, form_url)

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Without the password, which links to its form, for those who may not open that."""
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None or request.user.is_superuser:
            return fieldsets
        return [(None, {"fields": ("email",)}), *fieldsets[1:]]

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """A changed address replaces all others, as the old ones could reset the password. The user
        verifies the new one."""
        super().save_model(request, obj, form, change)
        if change and form.initial.get("email", obj.email) != obj.email:
            EmailAddress.objects.filter(user=obj).delete()
            EmailAddress.objects.create(user=obj, email=obj.email, primary=True)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only superusers change accounts of staff: a new password would give access to them."""
        return bool(super().has_change_permission(request, obj)) and _can_manage(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only superusers delete accounts of staff."""
        return bool(super().has_delete_permission(request, obj)) and _can_manage(request, obj)

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        """Start the deletion, which continues in the background."""
        self.delete_queryset(request, User.objects.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Start the deletions, which continue in the background."""
        for user in queryset:
            request_deletion(user, request)
        message = gettext("Sign-in is disabled now. All data is being deleted in the background.")
        self.message_user(request, message, messages.INFO)


def _can_manage(request: HttpRequest, user: User | None) -> bool:
    is_privileged = user is not None and (user.is_staff or user.is_superuser)
    return authenticated_user(request).is_superuser or not is_privileged


@admin.register(Plan)
class PlanAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = (
        "name",
        "monthly_minutes",
        "max_file_mb",
        "max_minutes",
        "max_storage_mb",
        "max_jobs",
        "queue_weight",
        "max_keep_days",
        "price_cents",
        "is_default",
    )

    def has_delete_permission(self, request: HttpRequest, obj: Plan | None = None) -> bool:
        """Forbid deleting the default plan: accounts without a plan would have no limits."""
        if obj is not None and obj.is_default:
            return False
        return bool(super().has_delete_permission(request, obj))
