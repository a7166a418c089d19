"""Fields of /v1/audio/transcriptions in every form that clients send."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import QueryDict

from accounts.models import User
from transcriptions.api.openai.errors import InvalidParameter
from transcriptions.api.openai.params import TranscriptionParams, list_values
from transcriptions.uploads.service import requested_languages


def form(**fields: Any) -> QueryDict:
    """A form; a list sends its field several times."""
    data = QueryDict(mutable=True)
    for name, value in fields.items():
        data.setlist(name, value if isinstance(value, list) else [value])
    return data


def parse(**fields: Any) -> TranscriptionParams:
    return TranscriptionParams.from_form(form(**fields))


DEFAULT = parse()


def test_defaults() -> None:
    assert (DEFAULT.model, DEFAULT.language, DEFAULT.response_format) == ("", "", "json")
    assert (DEFAULT.is_stream, DEFAULT.has_logprobs) == (False, False)
    assert DEFAULT.granularities == ("segment",)


@pytest.mark.parametrize(
    "fields",
    [
        dict.fromkeys(
            (
                *("model", "language", "prompt", "response_format", "temperature", "stream"),
                *("timestamp_granularities[]", "timestamp_granularities", "include[]", "languages"),
                *("keywords[]", "chunking_strategy", "known_speaker_names[]"),
                *("channels", "track"),
            ),
            "",
        ),
        {"chunking_strategy": "auto", "temperature": "0"},
        {"chunking_strategy": '{"type": "server_vad", "threshold": 0.6}', "temperature": "1.0"},
        {"chunking_strategy[type]": "server_vad", "chunking_strategy[threshold]": "0.6"},
        {"known_speaker_names[]": ["agent"], "known_speaker_references[]": ["no URL"]},
        {"user": "someone", "hotwords": "", "vad_filter": "true"},
    ],
)
def test_fields_without_effect_are_accepted(fields: dict[str, Any]) -> None:
    assert parse(**fields) == DEFAULT


@pytest.mark.parametrize("value", ["true", "True", "TRUE", "1", "yes", "on"])
def test_stream_is_on(value: str) -> None:
    assert parse(stream=value).is_stream


@pytest.mark.parametrize("value", ["false", "False", "0", "no", "off", ""])
def test_stream_is_off(value: str) -> None:
    assert not parse(stream=value).is_stream


@pytest.mark.parametrize(
    "fields",
    [
        {"names[]": ["a", "b"]},
        {"names": ["a", "b"]},
        {"names[0]": "a", "names[1]": "b"},
        {"names": "a, b,"},
        {"names[]": ["a,b"]},
        {"names": '["a", "b"]'},
        {"names[]": ["", "a"], "names": "b"},
    ],
)
def test_list_is_read_in_every_form(fields: dict[str, Any]) -> None:
    assert list_values(form(**fields, names2="c"), "names") == ["a", "b"]


def test_list_that_is_nested_too_deeply_is_text() -> None:
    assert list_values(form(names="[" * 100_000), "names") == ["[" * 100_000]


def test_granularities_may_come_with_any_format() -> None:
    fields = {"timestamp_granularities": "word,segment"}
    assert parse(response_format="json", **fields).granularities == ("word", "segment")
    assert parse(**{"timestamp_granularities[]": ["word"]}).granularities == ("word",)


def test_prompt_and_keywords_are_for_the_engine() -> None:
    params = parse(**{"prompt": " A walk. ", "keywords[]": ["harbor", "Transcodio, Kyutai"]})
    options = params.upload.options_of(User()).for_engine()
    assert options.prompt == "A walk."
    assert options.keywords == ("harbor", "Transcodio", "Kyutai")
    assert parse(hotwords="harbor").keywords == ("harbor",)


def test_end_of_a_long_prompt_is_used() -> None:
    prompt = parse(prompt="x" * 100_000 + "the end").prompt
    assert prompt.endswith("the end")
    assert len(prompt) < 10_000


@pytest.mark.parametrize(
    ("fields", "requested"),
    [
        ({"language": "English", "languages": "de"}, ("en", ())),
        ({"languages[]": ["nb-NO", "no"]}, ("no", ())),  # the same language twice
        ({"languages[]": ["en", "German"]}, ("", ("en", "de"))),
        ({"languages": "de,auto"}, ("", ())),
        ({}, ("", ())),
    ],
)
def test_candidates_are_those_that_may_be_detected(
    fields: dict[str, Any], requested: tuple[str, tuple[str, ...]]
) -> None:
    assert requested_languages(parse(**fields).upload) == requested


def test_channels_and_track_are_for_the_preparation() -> None:
    options = parse(channels="separate", track="0").upload.options_of(User())
    assert (options.channels, options.track) == ("separate", 0)
    assert DEFAULT.upload.options_of(User()).track is None


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"response_format": "xml"}, "response_format"),
        ({"temperature": "7"}, "temperature"),
        ({"temperature": "warm"}, "temperature"),
        ({"temperature": "nan"}, "temperature"),
        ({"stream": "maybe"}, "stream"),
        ({"language": "klingon"}, "language"),
        ({"languages[]": ["en", "klingon"]}, "languages"),
        ({"languages[]": [f"x{number}" for number in range(101)]}, "languages"),
        ({"timestamp_granularities[]": ["sentence"]}, "timestamp_granularities"),
        ({"include": "tokens"}, "include"),
        ({"keywords": "x" * 1000}, "keywords"),
        ({"channels": "left"}, "channels"),
        ({"track": "-1"}, "track"),
        ({"track": "second"}, "track"),
    ],
)
def test_value_that_nobody_understands_is_named(fields: dict[str, Any], name: str) -> None:
    with pytest.raises(InvalidParameter) as error:
        parse(**fields)
    assert (error.value.status, error.value.param) == (400, name)


@pytest.mark.parametrize("name", ["", "whisper-large-v3", "Systran/faster-whisper-large-v3"])
def test_any_model_is_accepted_unless_names_are_strict(name: str, settings: Any) -> None:
    assert parse(model=name).model == name
    settings.OPENAI_STRICT_MODELS = True
    assert parse(model="gpt-4o-mini-transcribe-2025-12-15").model
    with pytest.raises(InvalidParameter, match="does not exist") as error:
        parse(model=name)
    assert (error.value.status, error.value.param) == (404, "model")
