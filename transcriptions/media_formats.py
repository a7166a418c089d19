"""The formats that are accepted: the one list for FFmpeg, the file picker, the API and documents.

It excludes formats that refer to other files or run scripts (playlists, HLS, DASH, SWF), pictures,
subtitles, and formats of games, in which nobody records speech.
"""

from __future__ import annotations

from dataclasses import dataclass

from transcriptions.raw_audio import RAW_FORMATS

OCTETS = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Format:
    """A container, or a codec without one. The first extension is used for downloads."""

    name: str
    extensions: tuple[str, ...]
    demuxer: str  # the first of FFmpeg's names for it
    media_type: str = OCTETS  # for downloads: one that browsers play or save, but never render


FORMATS = (
    Format("MP3, MP2", ("mp3", "mp2", "mpga"), "mp3", "audio/mpeg"),
    Format("WAV", ("wav", "wave", "bwf"), "wav", "audio/wav"),
    Format(
        "MP4, M4A, MOV, 3GP",
        ("m4a", "mp4", "mov", "m4b", "m4v", "3gp", "3g2", "3ga", "f4v", "qt"),
        "mov",
        "audio/mp4",
    ),
    Format("AAC", ("aac", "adts"), "aac", "audio/aac"),
    Format("AAC in LATM", ("latm", "loas"), "loas"),
    Format("FLAC", ("flac",), "flac", "audio/flac"),
    Format("OGG, Opus, Speex", ("ogg", "opus", "oga", "ogv", "spx"), "ogg", "audio/ogg"),
    Format("WebM, Matroska", ("webm", "mkv", "mka"), "matroska", "audio/webm"),
    Format("WMA, WMV", ("wma", "wmv", "asf"), "asf", "audio/x-ms-wma"),
    Format("AIFF", ("aiff", "aif", "aifc"), "aiff", "audio/aiff"),
    Format("Core Audio", ("caf",), "caf", "audio/x-caf"),
    Format("AU", ("au", "snd"), "au", "audio/basic"),
    Format("Wave64", ("w64",), "w64", "audio/wav"),
    Format("AMR", ("amr", "awb"), "amr", "audio/amr"),
    Format("AVI", ("avi",), "avi"),
    Format("FLV", ("flv",), "flv"),
    Format("MPEG-TS", ("ts", "m2ts", "mts"), "mpegts"),
    Format("MPEG", ("mpeg", "mpg", "vob", "m2p"), "mpeg"),
    Format("MXF", ("mxf",), "mxf"),
    Format("RealMedia", ("rm", "ra", "rmvb"), "rm"),
    Format("AC-3", ("ac3",), "ac3", "audio/ac3"),
    Format("E-AC-3", ("eac3", "ec3"), "eac3", "audio/eac3"),
    Format("DTS", ("dts",), "dts", "audio/vnd.dts"),
    Format("WavPack", ("wv",), "wv", "audio/x-wavpack"),
    Format("True Audio", ("tta",), "tta", "audio/x-tta"),
    Format("Monkey's Audio", ("ape",), "ape", "audio/x-ape"),
    Format("Musepack SV7", ("mpc",), "mpc", "audio/x-musepack"),
    Format("Musepack SV8", ("mpc",), "mpc8", "audio/x-musepack"),
    Format("DSS dictation", ("dss",), "dss", "audio/x-dss"),
    Format("QCP", ("qcp",), "qcp", "audio/qcelp"),
    Format("Creative Voice", ("voc",), "voc", "audio/x-voc"),
    Format("SoX", ("sox",), "sox"),
    Format("IRCAM", ("sf", "ircam"), "ircam"),
    Format("NIST SPHERE", ("sph", "nist"), "nistsphere"),
)
DEMUXERS = ",".join(format.demuxer for format in FORMATS)
# All of them, for the description of the API.
ALL_FORMATS = ", ".join(format.name for format in FORMATS)
ALL_RAW_FORMATS = "; ".join(format.name for format in RAW_FORMATS)
# Formats that messages name.
COMMON_FORMATS = "MP3, WAV, M4A, AAC, FLAC, OGG, Opus, WMA, AIFF, MP4, MOV, MKV, WebM or AVI"

PCM = (
    "pcm_alaw pcm_mulaw pcm_bluray pcm_dvd pcm_f16le pcm_f24le pcm_f32be pcm_f32le pcm_f64be "
    "pcm_f64le pcm_s8 pcm_s8_planar pcm_s16be pcm_s16be_planar pcm_s16le pcm_s16le_planar "
    "pcm_s24be pcm_s24le pcm_s24le_planar pcm_s32be pcm_s32le pcm_s32le_planar pcm_s64be "
    "pcm_s64le pcm_u8 pcm_u16be pcm_u16le pcm_u24be pcm_u24le pcm_u32be pcm_u32le "
    "s302m"
)
ADPCM = (
    "adpcm_ima_dk3 adpcm_ima_dk4 adpcm_ima_oki adpcm_ima_qt adpcm_ima_wav adpcm_ms adpcm_sbpro_2 "
    "adpcm_sbpro_3 adpcm_sbpro_4 adpcm_swf adpcm_yamaha g722 g726 g726le"
)
LOSSY = (
    "aac aac_fixed aac_latm ac3 ac3_fixed eac3 dca mp1 mp1float mp2 mp2float mp3 mp3float mp3adu "
    "mp3adufloat mp3on4 mp3on4float mpc7 mpc8 opus libopus vorbis libvorbis wmav1 wmav2 wmapro "
    "cook nellymoser qdm2 qdmc real_144 real_288 sipr atrac3 mace3 mace6"
)
SPEECH = (
    "amrnb amrwb libopencore_amrnb libopencore_amrwb dss_sp g723_1 g729 gsm gsm_ms libgsm "
    "libgsm_ms ilbc qcelp evrc speex libspeex truespeech wmavoice msnsiren siren"
)
LOSSLESS = "alac als ape flac mlp truehd shorten tak tta wavpack wmalossless ralf"
# FFmpeg's decoders for these formats; those for pictures and video are not needed.
DECODERS = " ".join((PCM, ADPCM, LOSSY, SPEECH, LOSSLESS)).split()


# For the file picker: some systems know no type for many of these extensions.
ACCEPT = ",".join(
    ["audio/*", "video/*"]
    + [f".{extension}" for format in FORMATS for extension in format.extensions]
    + [f".{extension}" for format in RAW_FORMATS for extension in format.extensions]
)
_BY_DEMUXER = {format.demuxer: format for format in FORMATS}


def media_type(demuxer: str) -> str:
    """The media type of the download of a recording: whatever the upload claimed to be, one that
    browsers play or save, but never render. `demuxer` is FFmpeg's name of its format."""
    format = _BY_DEMUXER.get(demuxer)
    return format.media_type if format else OCTETS


def may_have_picture(demuxer: str) -> bool:
    """Whether a browser may find a picture in a file of this format. This is unknown until it is
    probed; the format is empty until then."""
    return demuxer in ("", "mov", "matroska", "ogg")


def extension(demuxer: str) -> str:
    """The extension of the download of a recording."""
    format = _BY_DEMUXER.get(demuxer)
    return format.extensions[0] if format else "media"
