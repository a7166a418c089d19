"""Measure the effect of a vocabulary on rare names: python -m benchmarks.vocabulary [--write]

Sentences with rare names, in English and German, are spoken by Debian's best free voices (flite and
espeak-ng, which have to be installed) and recognized by Whisper: without a vocabulary, with the
names of all sentences of the language, and with as many names that are not spoken. Each sentence is
a separate recording.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import tempfile
import wave
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import speech
from gpu import pcm
from gpu.engine import get_engine
from gpu.tests.wer import NORMALIZER, normalize, word_errors
from gpu.types import Audio, RecognitionOptions, Segment, Span

RESULTS = Path(__file__).parent / "results" / "vocabulary.json"
SILENCE_S = 0.3  # before and after a sentence
VOICES = {
    "en": ("flite", "-voice", "slt", "-o", "{file}", "-t", "{text}"),
    "de": ("espeak-ng", "-v", "de", "-s", "140", "-w", "{file}", "{text}"),
}
# Underscores enclose names.
SENTENCES = {
    "en": """
        Please forward the contract to _Thaddeus Quillfeather_ before noon.
        The results of _Marisol Okonkwo_ were published in spring.
        We will meet _Ignatius Brackenridge_ at the station.
        _Zofia Wyszynska_ leads the new department.
        The patient takes _Lamotrigine_ twice a day.
        Ask _Eoghan Fitzmaurice_ about the budget.
        The village of _Llanfihangel_ has two hundred inhabitants.
        Doctor _Venkataraman_ will see you now.
        The company _Brightwhistle_ has bought its largest rival.
        Our servers run _Kubernetes_ and _Grafana_ in Frankfurt.
        _Percival Dunwoody_ has signed the lease.
        The ferry to _Inishmaan_ leaves at seven.
        She read a paper by _Kierkegaard_ on the train.
        The call was answered by _Siobhan Ravenscroft_ in Dublin.
        Send the invoice to _Hapgood and Lisle_ this week.
        The bridge at _Aberfeldy_ is closed for repairs.
        _Oluwaseun Adeyemi_ joins the board in March.
        The doctor prescribed _Clopidogrel_ after the operation.
        _Cornelius Vanterpool_ will speak about the harbor.
        They moved from _Tewkesbury_ to the coast.
    """,
    "de": """
        Bitte schicken Sie den Vertrag an _Hieronymus Katzenellenbogen_ in Bremen.
        Frau _Schwarzenbacher_ leitet die neue Abteilung.
        Der Zug nach _Wriezen_ fährt heute später ab.
        Die Firma _Blitzkorn_ hat ihren größten Rivalen gekauft.
        Der Patient nimmt zweimal am Tag _Metoprolol_ ein.
        Wir treffen _Friedolin Aschenbrenner_ am Bahnhof.
        Das Dorf _Oberschnöditz_ hat zweihundert Einwohner.
        Herr _Przybilski_ kommt morgen in die Praxis.
        _Theudelinde Rabenalt_ hat den Mietvertrag unterschrieben.
        Die Brücke bei _Kyllburg_ ist wegen Bauarbeiten gesperrt.
        Unsere Server laufen mit _Kubernetes_ in Frankfurt.
        Der Brief kam von _Leberecht Hühnerbein_ aus Wien.
        Sie zogen von _Quedlinburg_ an die Küste.
        _Ottokar Wimmerstedt_ spricht heute über den Hafen.
        Die Rechnung geht an die Kanzlei _Dornseiff_ in Mainz.
        Der Arzt verschrieb ihm nach der Operation _Pantoprazol_ in kleiner Dosis.
    """,
}
OTHER_NAMES = """
    Balthasar Rumpelmayer, Euphemia Snodgrass, Caoimhe Gallagher, Ptolemy Wainwright, Nebivolol,
    Ljubljana, Wojciech Szczepanski, Amlodipine, Ottilie Birnbacher, Terraform, Dunfermline,
    Xanthippe Moreau, Ruaridh Macfarlane, Prometheus, Gottlieb Sauerbruch, Ashwaganda, Mnemosyne,
    Cholmondeley, Ragnhild Solbakken, Eszterhazy, Tadeusz Kowalczyk, Bramfield, Zypressenhof
"""


@dataclass(frozen=True)
class Sentence:
    """A text, and the names in it."""

    language: str
    text: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Recognized:
    """Whisper's result for a sentence."""

    sentence: Sentence
    text: str

    @property
    def names_found(self) -> int:
        """How many names are spelled correctly, ignoring case."""
        text = self._padded(self.text)
        return sum(self._padded(name) in text for name in self.sentence.names)

    def _padded(self, text: str) -> str:
        return f" {' '.join(normalize(text, self.sentence.language))} "


def main() -> None:
    """Print the results; with --write, write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vocabulary")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    parser.add_argument("--show", action="store_true", help="print what was recognized")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="transcodio-benchmark-") as folder:
        rows = [
            row for language in SENTENCES for row in _measure(language, Path(folder), arguments)
        ]
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "normalizer": NORMALIZER,
        "rows": rows,
    }
    print(json.dumps(result, indent=2))
    if arguments.write:
        RESULTS.write_text(json.dumps(result, indent=2) + "\n")


def _measure(
    language: str, folder: Path, arguments: argparse.Namespace
) -> Iterable[dict[str, Any]]:
    sentences = list(_sentences(language))
    recordings = [_spoken(sentence, folder) for sentence in sentences]
    names = list(dict.fromkeys(name for sentence in sentences for name in sentence.names))
    others = [name.strip() for name in OTHER_NAMES.split(",")][: len(names)]
    for vocabulary, keywords in {"none": [], "names": names, "other names": others}.items():
        found = [
            Recognized(sentence, _text(recording, language, keywords))
            for sentence, recording in zip(sentences, recordings, strict=True)
        ]
        if arguments.show:
            print("\n".join(f"{vocabulary}: {each.text}" for each in found))
        texts = " ".join(s.text for s in sentences), " ".join(f.text for f in found)
        errors = word_errors(*texts, language)
        yield {
            "language": language,
            "vocabulary": vocabulary,
            "sentences": len(sentences),
            "names": sum(len(sentence.names) for sentence in sentences),
            "names_right": sum(each.names_found for each in found),
            "wer": round(100 * errors.rate, 1),
            "insertions": errors.insertions,
            "deletions": errors.deletions,
        }


def _sentences(language: str) -> Iterable[Sentence]:
    for line in filter(None, map(str.strip, SENTENCES[language].splitlines())):
        parts = line.split("_")
        yield Sentence(language, "".join(parts), tuple(parts[1::2]))


def _spoken(sentence: Sentence, folder: Path) -> Audio:
    """The sentence as prepared audio."""
    program, *arguments = VOICES[sentence.language]
    if not shutil.which(program):
        raise SystemExit(f"Install the voice: apt-get install {program}")
    file = folder / "voice.wav"
    values = {"file": str(file), "text": sentence.text}
    command = [program, *(argument.format(**values) for argument in arguments)]
    subprocess.run(command, check=True)
    silence = bytes(2 * round(SILENCE_S * pcm.SAMPLE_RATE_HZ))
    samples = silence + speech.read(file).tobytes() + silence
    path = folder / f"{abs(hash(sentence))}.wav"
    with wave.open(str(path), "wb") as wav:
        wav.setparams((1, 2, pcm.SAMPLE_RATE_HZ, 0, "NONE", "not compressed"))
        wav.writeframes(samples)
    seconds = len(samples) / 2 / pcm.SAMPLE_RATE_HZ
    return Audio(path, seconds, (Span(0.0, seconds),), sentence.language)


def _text(recording: Audio, language: str, keywords: Sequence[str]) -> str:
    options = RecognitionOptions(keywords=tuple(keywords))
    audio = Audio(recording.path, recording.duration, recording.spans, language, options)
    events = get_engine("whisper").stream(audio, lambda: False)
    return " ".join(event.text for event in events if isinstance(event, Segment))


if __name__ == "__main__":
    main()
