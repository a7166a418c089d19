"""The settings page of subtitle profiles."""

from __future__ import annotations

from html import unescape
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from transcriptions.exports.profiles import PROFILES
from transcriptions.exports.user_profiles import ProfileIn, profiles_of
from transcriptions.library.export_choices import BUILT_IN_PROFILES
from transcriptions.library.profile_forms import TEXTS, ProfileForm, initial_norms
from transcriptions.models import SubtitleProfile

pytestmark = pytest.mark.django_db(transaction=True)
URL = "/settings/subtitles/"
NORMS: dict[str, Any] = ProfileIn().model_dump()


@pytest.fixture
def browser(alice: User) -> Client:
    client = Client()
    client.force_login(alice)
    return client


def test_every_norm_and_built_in_profile_has_a_label() -> None:
    assert [*TEXTS] == [*ProfileIn.model_fields]
    assert [*BUILT_IN_PROFILES] == [*PROFILES]


def test_profile_is_created_from_another_one_edited_and_deleted(
    browser: Client, alice: User
) -> None:
    initial = browser.get(f"{URL}new/?from=bbc").context["form"].initial
    assert (initial["max_line_chars"], initial["max_chars_per_second"]) == (37, "17")
    response = browser.post(f"{URL}new/", initial | {"name": "Our channel", "max_lines": 1})
    assert response.status_code == 302
    created = profiles_of(alice)["Our channel"]
    assert (created.max_line_chars, created.max_lines) == (37, 1)

    row = SubtitleProfile.objects.get()
    page = browser.get(URL).content.decode()
    assert f"{URL}{row.id}/" in page
    norms = initial_norms(row.norms) | {"max_line_chars": 30}
    del norms["keep_phrases"]  # as a browser does for an unchecked box
    browser.post(f"{URL}{row.id}/", norms)
    edited = profiles_of(alice)["Our channel"]
    assert (edited.max_line_chars, edited.max_lines, edited.keep_phrases) == (30, 1, False)

    assert "Delete “Our channel”?" in browser.get(f"{URL}{row.id}/delete/").content.decode()
    assert SubtitleProfile.objects.exists()
    browser.post(f"{URL}{row.id}/delete/")
    assert not SubtitleProfile.objects.exists()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("max_line_chars", 9, "greater than or equal to 10"),
        ("max_line_chars", "many", "Enter a whole number"),
        ("max_lines", 4, "less than or equal to 3"),
        ("max_duration", 0.4, "greater than or equal to 0.5"),
        ("lead_in", "nan", "Enter a number"),
        ("min_duration", 9, "must not be longer than the longest time"),
        ("name", "a<b", "Use letters, digits"),
        ("name", "BBC", "Another profile already has this name"),
        ("name", "club", "Another profile already has this name"),
    ],
)
def test_error_is_shown_beside_its_field(
    browser: Client, alice: User, field: str, value: object, message: str
) -> None:
    SubtitleProfile.objects.create(owner=alice, name="Club", norms=NORMS)
    response = browser.post(f"{URL}new/", {**NORMS, "name": "New", field: value})
    assert response.status_code == 400
    assert [*response.context["form"].errors] == [field]
    page = unescape(response.content.decode())
    assert message in page.split(f'id="id_{field}_error"')[1].split("</p>")[0]
    assert SubtitleProfile.objects.count() == 1


def test_form_accepts_what_the_api_accepts() -> None:
    form = ProfileForm({**NORMS, "name": "New"}, is_new=True)
    assert form.is_valid(), form.errors
    assert form.norms == ProfileIn()
