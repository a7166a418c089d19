"""Users and plans in the admin site."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.http import HttpRequest

from accounts.authentication import authenticated_user
from accounts.models import (
    Plan,
    User,
)


class UserCreation(AdminUserCreationForm):  # type: ignore[type-arg]
    class Meta:
        model = User
        fields = ("email",)


class UserChange(UserChangeForm):  # type: ignore[type-arg]
    class Meta:
        model = User
        fields = "__all__"


@admin.register(User)
class UserAdmin(DjangoUserAdmin):  # type: ignore[type-arg]
    form = UserChange
    add_form = UserCreation
    ordering = ("email",)
    list_display = ("email", "plan", "is_active", "is_staff", "date_joined", "last_login")
    list_select_related = ("plan",)
    list_filter = ("plan", "is_active", "is_staff")
    search_fields = ("email", "first_name", "last_name")
    fieldsets = (
        (None, {"fields": ("email", "password")}),
        ("Person", {"fields": ("first_name", "last_name")}),
        ("Plan", {"fields": ("plan",)}),
        ("Rights", {"fields": ("is_active", "is_staff", "is_superuser", "groups")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
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

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Rights are given by superusers: others would give them to themselves."""
        if request.user.is_superuser:
            return super().get_readonly_fields(request, obj)
        return ("is_staff", "is_superuser", "groups")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """An account with rights is theirs as well, its password above all."""
        return bool(super().has_change_permission(request, obj)) and _within_reach(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """See above."""
        return bool(super().has_delete_permission(request, obj)) and _within_reach(request, obj)


def _within_reach(request: HttpRequest, user: User | None) -> bool:
    has_rights = user is not None and (user.is_staff or user.is_superuser)
    return authenticated_user(request).is_superuser or not has_rights


@admin.register(Plan)
class PlanAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = (
        "name",
        "monthly_minutes",
        "max_file_mb",
        "max_minutes",
        "max_jobs",
        "max_keep_days",
        "price_cents",
        "is_default",
    )

    def has_delete_permission(self, request: HttpRequest, obj: Plan | None = None) -> bool:
        """Not the default one: all accounts that stand on it would have no limits."""
        if obj is not None and obj.is_default:
            return False
        return bool(super().has_delete_permission(request, obj))
