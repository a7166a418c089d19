"""Invitations in the admin site."""

from __future__ import annotations

import logging

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.audit_log import record_event
from accounts.authentication import authenticated_user
from accounts.invitations import invitation_link, send_invitation
from accounts.models import Action, Invitation, User

log = logging.getLogger(__name__)


class InvitationForm(forms.ModelForm):  # type: ignore[type-arg]
    def clean_email(self) -> str:
        """Raises ValidationError if the address has an account."""
        email: str = self.cleaned_data["email"].lower()
        if User.objects.filter(email=email).exists():
            raise forms.ValidationError(gettext("An account with this email address exists."))
        return email


@admin.register(Invitation)
class InvitationAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Adding an invitation sends its email."""

    form = InvitationForm
    fields = ("email", "plan")
    list_display = ("email", "plan", "invited_by", "sent_at", "accepted_at")
    list_select_related = ("plan", "invited_by")
    list_filter = (("accepted_at", admin.EmptyFieldListFilter),)
    search_fields = ("email",)
    actions = ("send_again",)

    def save_model(self, request: HttpRequest, obj: Invitation, form: object, change: bool) -> None:
        """Store who sent the invitation, and send the email."""
        obj.invited_by = authenticated_user(request)
        obj.save()
        self._send(request, obj)

    @admin.action(description=_("Send again"), permissions=["add"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[Invitation]) -> None:
        """Send pending invitations again, with a new link."""
        for invitation in queryset.filter(accepted_at=None):
            self._send(request, invitation)
            detail = gettext("Resent invitation %(number)d.")
            record_event(request, Action.ADMIN, detail % {"number": invitation.pk})

    def _send(self, request: HttpRequest, invitation: Invitation) -> None:
        try:
            send_invitation(invitation)
        except OSError:
            log.warning("invitation %d cannot be sent", invitation.pk, exc_info=True)
            message = gettext(
                "The email to %(email)s could not be sent. Check EMAIL_URL; the log has the "
                "details. You can send this link yourself: %(link)s"
            )
            values = {"email": invitation.email, "link": invitation_link(invitation)}
            self.message_user(request, message % values, messages.ERROR)
        else:
            message = gettext("Email sent to %(email)s.")
            self.message_user(request, message % {"email": invitation.email})

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Always False: the email was sent. Delete the invitation and add another one instead."""
        return False
