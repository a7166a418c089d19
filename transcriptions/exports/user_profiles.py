"""Subtitle profiles that users define themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Self

from django.db import transaction
from django.utils.translation import gettext as _
from pydantic import Field, model_validator

from accounts.models import User
from accounts.schemas import Body
from transcriptions import permissions
from transcriptions.exports.profiles import DEFAULT_PROFILE, PROFILES, Profile
from transcriptions.models import SubtitleProfile
from transcriptions.models.subtitle_profile import MAX_NAME_CHARS

MAX_PROFILES = 50  # of a user
NAME_PATTERN = rf"^[^\W_][\w .-]{{0,{MAX_NAME_CHARS - 2}}}[\w.-]?$"
NETFLIX = DEFAULT_PROFILE


class ProfileRefused(ValueError):
    """The profile cannot be saved. The message is for the user."""


def _seconds(least: float, most: float, description: str) -> object:
    return Field(ge=least, le=most, allow_inf_nan=False, description=f"Seconds: {description}")


class ProfileIn(Body):
    """The rules of a profile. Fields that are left out have the values of the profile `netflix`."""

    model_config = Body.example(max_line_chars=37, max_chars_per_second=15)

    max_line_chars: Annotated[
        int,
        Field(
            ge=10,
            le=100,
            description="Characters of an alphabet on a line. A character of Chinese, Japanese or "
            "Korean counts as 2.625",
        ),
    ] = NETFLIX.max_line_chars
    max_lines: Annotated[int, Field(ge=1, le=3)] = NETFLIX.max_lines
    max_chars_per_second: Annotated[
        float, Field(ge=0, le=100, allow_inf_nan=False, description="Reading speed; 0: no limit")
    ] = NETFLIX.max_chars_per_second
    min_duration: Annotated[float, _seconds(0, 10, "shortest time on the screen")] = (
        NETFLIX.min_duration
    )
    max_duration: Annotated[float, _seconds(0.5, 60, "longest time on the screen")] = (
        NETFLIX.max_duration
    )
    min_gap: Annotated[float, _seconds(0, 2, "between two subtitles")] = NETFLIX.min_gap
    close_gap: Annotated[float, _seconds(0, 5, "a shorter gap is closed to `min_gap`")] = (
        NETFLIX.close_gap
    )
    lead_in: Annotated[float, _seconds(0, 2, "shown before the first word")] = NETFLIX.lead_in
    lead_out: Annotated[float, _seconds(0, 5, "shown after the last word, if there is room")] = (
        NETFLIX.lead_out
    )
    max_pause: Annotated[float, _seconds(0.1, 60, "a longer pause starts a new subtitle")] = (
        NETFLIX.max_pause
    )
    two_speakers: Annotated[
        bool, Field(description="A subtitle may have one line from each of two speakers")
    ] = NETFLIX.two_speakers
    split_sentences: Annotated[bool, Field(description="Each sentence starts a new subtitle")] = (
        NETFLIX.split_sentences
    )
    keep_phrases: Annotated[
        bool, Field(description="Avoid line breaks after an article, within a name, and so on")
    ] = NETFLIX.keep_phrases

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.min_duration > self.max_duration:
            raise ValueError(_("min_duration must not be greater than max_duration"))
        return self


_NETFLIX = ProfileIn().model_dump()


class ProfileOut(ProfileIn):
    """A profile."""

    model_config = Body.example(name="netflix", built_in=True, **_NETFLIX)

    name: str
    built_in: bool = Field(description="It cannot be changed")

    @classmethod
    def of(cls, profile: Profile) -> ProfileOut:
        """Create from a profile."""
        return cls(**asdict(profile), built_in=PROFILES.get(profile.name) is profile)


def profiles_of(user: User) -> Mapping[str, Profile]:
    """The profiles that a user can choose, by name: the built-in ones first."""
    own = permissions.subtitle_profiles_of(user)
    return PROFILES | {row.name: Profile(name=row.name, **row.norms) for row in own}


def save_profile(user: User, name: str, norms: ProfileIn) -> tuple[Profile, bool]:
    """Create or replace a profile of the user. Return whether it is new. Raises ProfileRefused."""
    if name.lower() in PROFILES:
        raise ProfileRefused(_("This is the name of a built-in profile. Choose another name."))
    with transaction.atomic():
        User.objects.select_for_update().get(id=user.id)
        own = permissions.subtitle_profiles_of(user)
        existing = own.filter(name__iexact=name).first()
        if existing is None and own.count() >= MAX_PROFILES:
            raise ProfileRefused(
                _("You have %(count)d profiles. Delete one first.") % {"count": MAX_PROFILES}
            )
        row = existing or SubtitleProfile(owner=user)
        row.name, row.norms = name, norms.model_dump()
        row.save()
    return Profile(name=name, **row.norms), existing is None


def delete_profile(user: User, name: str) -> bool:
    """Delete a profile. Return whether the user had it."""
    own = permissions.subtitle_profiles_of(user)
    deleted, _rows = own.filter(name__iexact=name).delete()
    return deleted > 0
