"""The settings page of subtitle profiles. It needs no JavaScript."""

from __future__ import annotations

from dataclasses import asdict

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from accounts.authentication import authenticated_user
from accounts.confirmation import confirmation_page
from transcriptions import permissions
from transcriptions.exports.profiles import DEFAULT_PROFILE
from transcriptions.exports.user_profiles import (
    ProfileRefused,
    delete_profile,
    profiles_of,
    save_profile,
)
from transcriptions.library.export_choices import BUILT_IN_PROFILES
from transcriptions.library.profile_forms import ProfileForm, initial_norms


@login_required
@require_GET
def profiles(request: HttpRequest) -> HttpResponse:
    """List the profiles of the user. A new profile can start with the numbers of any other."""
    user = authenticated_user(request)
    own = permissions.subtitle_profiles_of(user)
    context = {"own": own, "templates": _names([row.name for row in own])}
    return render(request, "transcriptions/subtitle_profiles.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def new_profile(request: HttpRequest) -> HttpResponse:
    """A form with the numbers of the profile `from`; POST creates a profile."""
    user = authenticated_user(request)
    known = profiles_of(user)
    template = known.get(request.GET.get("from", ""), DEFAULT_PROFILE)
    posted = request.POST if request.method == "POST" else None
    form = ProfileForm(posted, is_new=True, known=known, initial=_initial(asdict(template)))
    if posted is not None and form.is_valid():
        try:
            save_profile(user, form.cleaned_data["name"], form.norms)
        except ProfileRefused as error:
            form.add_error("name", str(error))
        else:
            messages.success(request, _("Profile created."))
            return redirect("subtitles:profiles")
    return _form_page(request, form)


@login_required
@require_http_methods(["GET", "POST"])
def edit_profile(request: HttpRequest, profile_id: int) -> HttpResponse:
    """A form with the numbers of a profile; POST saves them."""
    row = permissions.subtitle_profile_for(request.user, profile_id)
    posted = request.POST if request.method == "POST" else None
    form = ProfileForm(posted, is_new=False, initial=initial_norms(row.norms))
    if posted is not None and form.is_valid():
        save_profile(authenticated_user(request), row.name, form.norms)
        messages.success(request, _("Profile saved."))
        return redirect("subtitles:profiles")
    return _form_page(request, form, row.name)


@login_required
@require_http_methods(["GET", "POST"])
def remove_profile(request: HttpRequest, profile_id: int) -> HttpResponse:
    """Ask whether to delete a profile; POST deletes it."""
    row = permissions.subtitle_profile_for(request.user, profile_id)
    if request.method == "POST":
        delete_profile(authenticated_user(request), row.name)
        messages.success(request, _("“%(name)s” has been deleted.") % {"name": row.name})
        return redirect("subtitles:profiles")
    return confirmation_page(
        request,
        _("Delete “%(name)s”?") % {"name": row.name},
        [_("Exported files do not change.")],
        action=_("Delete"),
        back="subtitles:profiles",
    )


def _form_page(request: HttpRequest, form: ProfileForm, name: str = "") -> HttpResponse:
    status = 400 if form.errors else 200
    context = {"form": form, "name": name}
    return render(request, "transcriptions/subtitle_profile.html", context, status=status)


def _initial(norms: dict[str, object]) -> dict[str, object]:
    return initial_norms({name: value for name, value in norms.items() if name != "name"})


def _names(own: list[str]) -> list[tuple[str, str]]:
    """Values and labels of all profiles."""
    labels = BUILT_IN_PROFILES | {name: name for name in own}
    return [(name, str(label)) for name, label in labels.items()]
