"""Fields that several schemas have."""

from __future__ import annotations

from typing import Annotated

from django.utils.translation import gettext as _
from pydantic import AfterValidator, Field

from gpu.languages import language_code


def _to_code(value: str) -> str:
    """Raises ValueError if the language is unknown."""
    code = language_code(value) if value else ""
    if code is None:
        raise ValueError(_("use the code of a language, such as en"))
    return code


# Whisper's code of a language that is given as any code or name; empty if none is given.
LanguageCode = Annotated[str, Field(max_length=100), AfterValidator(_to_code)]
