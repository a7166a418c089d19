"""The languages of Whisper by code, and their other names.

Written out, because the web process cannot import Whisper.
"""

from __future__ import annotations

import re
import unicodedata

LANGUAGES = {
    "af": "Afrikaans", "am": "Amharic", "ar": "Arabic", "as": "Assamese", "az": "Azerbaijani",
    "ba": "Bashkir", "be": "Belarusian", "bg": "Bulgarian", "bn": "Bengali", "bo": "Tibetan",
    "br": "Breton", "bs": "Bosnian", "ca": "Catalan", "cs": "Czech", "cy": "Welsh", "da": "Danish",
    "de": "German", "el": "Greek", "en": "English", "es": "Spanish", "et": "Estonian",
    "eu": "Basque", "fa": "Persian", "fi": "Finnish", "fo": "Faroese", "fr": "French",
    "gl": "Galician", "gu": "Gujarati", "ha": "Hausa", "haw": "Hawaiian", "he": "Hebrew",
    "hi": "Hindi", "hr": "Croatian", "ht": "Haitian Creole", "hu": "Hungarian", "hy": "Armenian",
    "id": "Indonesian", "is": "Icelandic", "it": "Italian", "ja": "Japanese", "jw": "Javanese",
    "ka": "Georgian", "kk": "Kazakh", "km": "Khmer", "kn": "Kannada", "ko": "Korean",
    "la": "Latin", "lb": "Luxembourgish", "ln": "Lingala", "lo": "Lao", "lt": "Lithuanian",
    "lv": "Latvian", "mg": "Malagasy", "mi": "Māori", "mk": "Macedonian", "ml": "Malayalam",
    "mn": "Mongolian", "mr": "Marathi", "ms": "Malay", "mt": "Maltese", "my": "Burmese",
    "ne": "Nepali", "nl": "Dutch", "nn": "Norwegian Nynorsk", "no": "Norwegian", "oc": "Occitan",
    "pa": "Punjabi", "pl": "Polish", "ps": "Pashto", "pt": "Portuguese", "ro": "Romanian",
    "ru": "Russian", "sa": "Sanskrit", "sd": "Sindhi", "si": "Sinhala", "sk": "Slovak",
    "sl": "Slovenian", "sn": "Shona", "so": "Somali", "sq": "Albanian", "sr": "Serbian",
    "su": "Sundanese", "sv": "Swedish", "sw": "Swahili", "ta": "Tamil", "te": "Telugu",
    "tg": "Tajik", "th": "Thai", "tk": "Turkmen", "tl": "Tagalog", "tr": "Turkish", "tt": "Tatar",
    "uk": "Ukrainian", "ur": "Urdu", "uz": "Uzbek", "vi": "Vietnamese", "yi": "Yiddish",
    "yo": "Yoruba", "zh": "Chinese", "yue": "Cantonese",
}  # fmt: skip

# Codes of ISO 639-2 and 639-3 (for a macrolanguage also that of its main language), withdrawn
# codes, and other names, including those that Whisper knows.
_OTHERS = {
    "af": "afr", "am": "amh", "ar": "ara, arb", "as": "asm", "az": "aze, azj", "ba": "bak",
    "be": "bel", "bg": "bul", "bn": "ben", "bo": "bod, tib", "br": "bre", "bs": "bos",
    "ca": "cat, valencian", "cs": "ces, cze", "cy": "cym, wel", "da": "dan", "de": "deu, ger",
    "el": "ell, gre", "en": "eng", "es": "spa, castilian", "et": "est, ekk", "eu": "eus, baq",
    "fa": "fas, per, pes, farsi", "fi": "fin", "fo": "fao", "fr": "fra, fre", "gl": "glg",
    "gu": "guj", "ha": "hau", "he": "heb, iw", "hi": "hin", "hr": "hrv", "ht": "hat, haitian",
    "hu": "hun", "hy": "hye, arm", "id": "ind, in", "is": "isl, ice", "it": "ita", "ja": "jpn",
    "jw": "jav, jv", "ka": "kat, geo", "kk": "kaz", "km": "khm", "kn": "kan", "ko": "kor",
    "la": "lat", "lb": "ltz, letzeburgesch", "ln": "lin", "lo": "lao", "lt": "lit",
    "lv": "lav, lvs", "mg": "mlg, plt", "mi": "mri, mao", "mk": "mkd, mac", "ml": "mal",
    "mn": "mon, khk", "mr": "mar", "ms": "msa, may, zsm", "mt": "mlt", "my": "mya, bur, myanmar",
    "ne": "nep, npi", "nl": "nld, dut, flemish", "nn": "nno, nynorsk",
    "no": "nor, nb, nob, bokmal, norwegian bokmal", "oc": "oci", "pa": "pan, panjabi", "pl": "pol",
    "ps": "pus, pbu, pushto", "pt": "por", "ro": "ron, rum, mo, moldavian, moldovan", "ru": "rus",
    "sa": "san", "sd": "snd", "si": "sin, sinhalese", "sk": "slk, slo", "sl": "slv", "sn": "sna",
    "so": "som", "sq": "sqi, alb, als", "sr": "srp, sh, hbs", "su": "sun", "sv": "swe",
    "sw": "swa, swh", "ta": "tam", "te": "tel", "tg": "tgk", "th": "tha", "tk": "tuk",
    "tl": "tgl, fil, filipino", "tr": "tur", "tt": "tat", "uk": "ukr", "ur": "urd",
    "uz": "uzb, uzn", "vi": "vie", "yi": "yid, ydd, ji", "yo": "yor", "yue": "zh-yue",
    "zh": "zho, chi, cmn, mandarin",
}  # fmt: skip
# Whisper's names that are not ours in lower case.
_WHISPER_NAMES = {"mi": "maori", "my": "myanmar", "nn": "nynorsk"}


def _key(name: str) -> str:
    """The name without case and accents, with `-` for `_`."""
    decomposed = unicodedata.normalize("NFKD", name.strip().casefold().replace("_", "-"))
    return "".join(char for char in decomposed if not unicodedata.combining(char))


_CODES = {
    _key(name): code
    for code, own_name in LANGUAGES.items()
    for name in (code, own_name, *_OTHERS.get(code, "").split(", "))
    if name
}


def language_code(name: str) -> str | None:
    """Whisper's code of a language; None if it is unknown.

    `name` is a code with or without a region (`pt`, `pt-BR`, `zh_CN`, `cmn`) or a name in English
    (`Norwegian`, `Chinese (Taiwan)`), in any case.
    """
    key = _key(name)
    without_region = re.split(r"[-(]", key, maxsplit=1)[0].strip()
    return _CODES.get(key) or _CODES.get(without_region)


def whisper_name(code: str) -> str:
    """The name of a language as Whisper and OpenAI write it: in English and in lower case."""
    return _WHISPER_NAMES.get(code, LANGUAGES.get(code, code).lower())
