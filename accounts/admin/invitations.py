"""Invitations in the admin site."""

from __future__ import annotations

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.audit_log import record_event
from accounts.authentication import authenticated_user
from accounts.invitations import invitation_link, send_invitation
from accounts.models import (
    Action,
    Invitation,
    User,
)


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
        obj.invited_by = authenticated_user(request)
        obj.save()
        self._send(request, obj)

    @admin.action(description="Send again", permissions=["add"])
    def send_again(self, request: HttpRequest, rows: QuerySet[Invitation]) -> None:
        """Those that nobody has followed yet, with a fresh link."""
        for invitation in rows.filter(accepted_at=None):
            self._send(request, invitation)
            record_event(request, Action.ADMIN, f"{request.user}: Invited “{invitation}” again.")

    def _send(self, request: HttpRequest, invitation: Invitation) -> None:
        try:
            send_invitation(invitation)
        except OSError as error:
            self.message_user(
                request,
                f"The letter to {invitation} could not be sent ({error}). "
                f"You can pass the link on yourself: {invitation_link(invitation)}",
                messages.ERROR,
            )
        else:
            self.message_user(request, f"The letter to {invitation} is on its way.")

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """What was sent cannot be unsaid: delete it and write another one."""
        return False
