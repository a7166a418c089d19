"""Users and tokens in the admin site."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from accounts import reconciliation
from accounts.audit import Action, AuditEvent, note
from accounts.authentication import person
from accounts.models import ApiToken, Invitation, Plan, UsageDay, UsageRecord, User
from accounts.refunds import may_refund, refund, sentence
from accounts.review import COLUMNS, Review, ReviewForm
from accounts.staff import ForAllStaff, OnlyGrows


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
    return person(request).is_superuser or not has_rights


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


class InvitationForm(forms.ModelForm):  # type: ignore[type-arg]
    def clean_email(self) -> str:
        """Nobody is invited who is there already."""
        email: str = self.cleaned_data["email"].lower()
        if User.objects.filter(email=email).exists():
            raise forms.ValidationError("There is an account with this address already.")
        return email


@admin.register(Invitation)
class InvitationAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """To add one is to send the letter."""

    form = InvitationForm
    fields = ("email", "plan")
    list_display = ("email", "plan", "invited_by", "sent_at", "accepted_at")
    list_select_related = ("plan", "invited_by")
    list_filter = (("accepted_at", admin.EmptyFieldListFilter),)
    search_fields = ("email",)
    actions = ("send_again",)

    def save_model(self, request: HttpRequest, obj: Invitation, form: object, change: bool) -> None:
        """Remembers who invites, and sends it."""
        obj.invited_by = person(request)
        obj.save()
        self._send(request, obj)

    @admin.action(description="Send again", permissions=["add"])
    def send_again(self, request: HttpRequest, rows: QuerySet[Invitation]) -> None:
        """Those that nobody has followed yet, with a fresh link."""
        for invitation in rows.filter(accepted_at=None):
            self._send(request, invitation)
            note(request, Action.ADMIN, f"{request.user}: Invited “{invitation}” again.")

    def _send(self, request: HttpRequest, invitation: Invitation) -> None:
        try:
            invitation.send()
        except OSError as error:
            self.message_user(
                request,
                f"The letter to {invitation} could not be sent ({error}). "
                f"You can pass the link on yourself: {invitation.link}",
                messages.ERROR,
            )
        else:
            self.message_user(request, f"The letter to {invitation} is on its way.")

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """What was sent cannot be unsaid: delete it and write another one."""
        return False


@admin.register(UsageRecord)
class UsageRecordAdmin(ForAllStaff, OnlyGrows):
    """The ledger, to be read. What was wrong is taken back by another row."""

    list_display = (
        "created_at",
        "user_id",
        "transcription",
        "outcome",
        "engine",
        "gpu_type",
        "audio_ms",
        "decode_ms",
        "cost_micro_usd",
        "billed",
        "reason",
    )
    list_filter = ("outcome", "billed", "engine", "gpu_type", "created_at")
    search_fields = ("=transcription", "user__exact")
    list_select_related = False
    show_full_result_count = False
    actions = ("refund",)

    @admin.action(description="Refund: take back what was charged", permissions=["refund"])
    def refund(self, request: HttpRequest, rows: QuerySet[UsageRecord]) -> None:
        """Once for each row that was charged."""
        self.message_user(request, sentence(refund(request, rows)))

    def has_refund_permission(self, request: HttpRequest) -> bool:
        """Who may change plans may give back what they charged."""
        return may_refund(request)


@admin.register(AuditEvent)
class AuditEventAdmin(OnlyGrows):
    """The audit log, to be read."""

    list_display = ("created_at", "user_id", "action", "detail", "address")
    list_filter = ("action", "created_at")
    search_fields = ("user__exact", "detail", "address")
    list_select_related = False
    show_full_result_count = False


@admin.register(UsageDay)
class ReviewAdmin(ForAllStaff, OnlyGrows):
    """Usage and cost review: its list is the page itself."""

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """For all staff: to look is their work."""
        form = ReviewForm(request.GET)
        review = Review(form)
        if request.GET.get("format") == "csv" and form.is_valid():
            return review.as_csv()
        query = request.GET.copy()
        query.pop("compare", None)
        context = {
            **self.admin_site.each_context(request),
            **self._compared(review, "compare" in request.GET),
            "title": "Usage and cost review",
            "opts": self.opts,
            "form": form,
            "review": review,
            "columns": [name.replace("_", " ").replace("usd", "USD") for name in COLUMNS],
            "query": query.urlencode(),
        }
        return TemplateResponse(request, "admin/usage_report.html", context)

    @staticmethod
    def _compared(review: Review, asked: bool) -> dict[str, Any]:
        """The bill is far away: it is fetched when somebody asks for it."""
        if not asked:
            return {"can_compare": reconciliation.is_needed(review.since, review.until)}
        try:
            return {"compared": reconciliation.compare(review.since, review.until)}
        except OSError as error:
            return {"can_compare": True, "compare_error": str(error)}


@admin.register(ApiToken)
class ApiTokenAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("name", "hint", "user", "created_at", "last_used_at")
    list_select_related = ("user",)
    search_fields = ("name", "user__email")
    readonly_fields: ClassVar = ["user", "hint", "created_at", "last_used_at"]
    exclude = ("digest",)

    def has_add_permission(self, request: object) -> bool:
        """A token made here could not be shown to its owner: `create_token` makes them."""
        return False
