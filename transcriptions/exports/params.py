"""The options of an export as the parameters of a query."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated

from django.utils.translation import gettext as _
from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from accounts.schemas import Body
from transcriptions.exports.documents import EXPORTERS
from transcriptions.exports.options import ExportOptions
from transcriptions.exports.profiles import DEFAULT_PROFILE, PROFILES, Profile
from transcriptions.schemas.fields import LanguageCode

MAX_SECONDS = 360_000.0  # 100 hours
MIN_STRETCH, MAX_STRETCH = 0.1, 10.0
NUMBER = r"\d{1,9}(?:\.\d{1,9})?"
RATIO = rf"^{NUMBER}(?:/{NUMBER})?$"
# How far 1.001 times the rounded rate of a television standard is from a whole number.
NTSC_TOLERANCE = 0.005
NTSC_FROM = 10  # frames per second

Seconds = Annotated[float, Field(ge=0, le=MAX_SECONDS, allow_inf_nan=False)]


class UnknownProfile(ValueError):
    """No profile has this name. The message is for the user."""

    def __init__(self, known: Iterable[str]) -> None:
        names = ", ".join(known)
        super().__init__(_("The field 'profile': use one of %(names)s.") % {"names": names})


def exact_frame_rate(rate: float) -> float:
    """The exact frame rate: 23.976 and 29.97 are rounded from 24000/1001 and 30000/1001.
    Numbers below NTSC_FROM are no frame rates, but those of a ratio such as 1/1.001."""
    nominal = round(rate * 1.001)
    is_ntsc = nominal >= NTSC_FROM and abs(rate * 1.001 - nominal) < NTSC_TOLERANCE
    return nominal * 1000 / 1001 if is_ntsc else rate


def _one_of(value: str, known: list[str]) -> str:
    """Raises ValueError."""
    if value not in known:
        raise ValueError(_("use one of %(names)s") % {"names": ", ".join(known)})
    return value


def _to_stretch(text: str) -> str:
    """Raises ValueError unless it is a number or a ratio in the allowed range."""
    if not re.fullmatch(RATIO, text, re.ASCII):
        raise ValueError(_("use a number such as 1.04, or two frame rates such as 25/23.976"))
    above, below = _parts(text)
    if not (below > 0 and MIN_STRETCH * below <= above <= MAX_STRETCH * below):
        raise ValueError(_("use a value from 0.1 to 10"))
    return text


def _parts(stretch: str) -> tuple[float, float]:
    """The two numbers of a ratio; television frame rates are made exact."""
    above, slash, below = stretch.partition("/")
    if not slash:
        return float(above), 1.0
    return exact_frame_rate(float(above)), exact_frame_rate(float(below))


ExportFormat = Annotated[
    str,
    AfterValidator(lambda value: _one_of(value, [*EXPORTERS])),
    Field(description="The file format", json_schema_extra={"enum": [*EXPORTERS]}),
]


class ExportParams(Body):
    """The options of an export. A format ignores those that do not apply to it."""

    profile: str = Field(
        default=DEFAULT_PROFILE.name,
        max_length=100,
        description="The rules that subtitles follow: "
        + ", ".join(f"`{name}`" for name in PROFILES)
        + ", or a profile of your own",
    )
    language: LanguageCode = Field(
        default="",
        description="Language whose rules divide the text into subtitles. Default: the one of the "
        "recording",
    )
    speakers: bool = Field(default=True, description="With speaker names, if known")
    times: bool = Field(default=False, description="With times, in documents for reading")
    notes: bool = Field(
        default=False,
        description="With highlights, comments and bookmarks, in documents for reading",
    )
    karaoke: bool = Field(default=False, description="With the time of each word, in `vtt`")
    top: bool = Field(
        default=False,
        description="Subtitles at the top of the picture. In `srt`, players need to know the tag "
        "`{\\an8}`",
    )
    start: Seconds = Field(
        default=0.0, description="Leave out what is said before this time, in seconds"
    )
    end: Seconds | None = Field(
        default=None, description="Leave out what is said after this time, in seconds"
    )
    offset: float = Field(
        default=0.0,
        ge=-MAX_SECONDS,
        le=MAX_SECONDS,
        allow_inf_nan=False,
        description="Add this to all times, in seconds. Words that would end before 0 are left out",
    )
    stretch: Annotated[str, AfterValidator(_to_stretch)] = Field(
        default="1",
        max_length=40,
        json_schema_extra={"pattern": RATIO},
        description="Multiply all times by this number, or by the ratio of two frame rates such as "
        "`25/23.976`",
    )
    frame_rate: float | None = Field(
        default=None,
        ge=10,
        le=240,
        allow_inf_nan=False,
        description="Frames per second of the video: all cues start and end on a frame. "
        "`23.976`, `29.97` and `59.94` mean 24000/1001, 30000/1001 and 60000/1001",
    )

    @field_validator("end", "frame_rate", mode="before")
    @classmethod
    def _or_none(cls, value: object) -> object:
        """Forms send an empty string for a number that is left out."""
        return None if value == "" else value

    @field_validator("end")
    @classmethod
    def _after_start(cls, end: float | None, info: ValidationInfo) -> float | None:
        if end is not None and end <= info.data.get("start", 0.0):
            raise ValueError(_("it must be greater than start"))
        return end

    def options(self, profiles: Mapping[str, Profile] = PROFILES) -> ExportOptions:
        """The options for exporters. Raises UnknownProfile if the profile is not in `profiles`."""
        if self.profile not in profiles:
            raise UnknownProfile([*profiles])
        above, below = _parts(self.stretch)
        return ExportOptions(
            profile=profiles[self.profile],
            language=self.language,
            speakers=self.speakers,
            times=self.times,
            notes=self.notes,
            karaoke=self.karaoke,
            top=self.top,
            start=self.start,
            end=self.end,
            offset=self.offset,
            stretch=above / below,
            frame_rate=self.frame_rate and exact_frame_rate(self.frame_rate),
        )
