"""Talks in paragraphs, as their author divides them, and their words as they were spoken."""

from __future__ import annotations

import random
from collections.abc import Iterator

from transcriptions.exports.transcript import TimedWord

TALK = """
Good evening, and thank you for coming to the town hall. My name is Ruth, and I have lived in this
town for thirty years. Tonight I want to tell you how we brought the old mill back to life. It was
not easy, and it took much longer than we had promised.

The mill was built by a family of weavers in the eighteenth century. They made wool for coats and
blankets, and they sold it as far away as Lisbon. When cotton became cheap, the weavers lost their
trade and the family moved to the coast.

The river was our first problem. Every spring it rises by two meters, and the flood had washed
away half of the foundation. An engineer told us that the water would take the rest within five
years. We drove forty steel piles into the bed of the river and poured concrete around them. Since
then we have had two floods, and the foundation has not moved by a millimeter. The divers look at
every pile once a year, when the water is low and clear. They found some rust on the piles and two
bicycles. The river still rises, but now it only wets our feet.

Money was harder than water. The bank laughed when we asked for a loan, and the ministry wanted
three more forms. So we sold shares for fifty euros each, to anybody who walked past the market.
Within a year four hundred people had bought shares, and one of them bought sixty. After that the
bank stopped laughing and gave us the loan.

Inside, the roof had to come first. The carpenters found that the beams were oak, and that most of
them were sound. They replaced nine beams and kept eighty, with the marks of the old axes still in
the wood. The slates came from a quarry that closed last summer, so we bought a few hundred more
than the roof needs.

People often ask me about the owls. A pair of owls had nested under the roof for as long as
anybody remembers. The law protects them while they breed, so the builders had to stop from March
to July. We gave the owls a box in the tower, and nobody believed that they would move. In the
second year they did, and last May there were four young owls in the box. A camera shows the nest
on our website, and it has more visitors than everything else we do.

What happens in the mill today is mostly music. The school of music has six rooms on the first
floor, with pianos that three villages collected. On Thursdays the choir sings in the hall, and
the sound is better than in the church. In winter there are concerts every second Sunday. The
young pianists play first, because their parents leave early. The choir sings last, because it
never leaves at all.

The turbine in the cellar is my favorite. It makes electricity from the same water that once
turned the wheel. In a wet month the turbine supplies the mill and about thirty houses. In a dry
month we buy electricity like everybody else.

Let me finish with a request. We need volunteers who will guide visitors on Saturdays, from April
to October. You do not have to know anything, because we will teach you. A guide needs two hours,
a loud voice, and some patience with questions about owls. If you want to be a guide, write your
name on the list by the door.
"""

GERMAN_TALK = """
Guten Abend und herzlich willkommen im Museum. Ich heiße Jonas und führe Sie heute durch die
Sammlung. Wir haben eine Stunde Zeit, und Fragen sind jederzeit willkommen.

Diese Uhr hat ein Schmied aus Nürnberg gebaut. Ihr Pendel ist aus Holz, weil Holz sich bei Wärme
weniger dehnt als Eisen. Die Zeiger gehen seit dreihundert Jahren, mit einer Pause im Krieg.
Damals lag die Uhr zerlegt in einem Keller, und niemand wusste, wohin die Räder gehörten. Ein
Lehrling hat sie nach dem Krieg wieder zusammengesetzt, und ein Zahnrad blieb übrig. Die Uhr geht
trotzdem, aber am Abend eine Minute nach. Wir haben das Zahnrad in einer Schachtel neben das
Pendel gelegt.

Im nächsten Saal sehen Sie Landkarten. Die älteste Karte zeigt Afrika ohne den Süden, weil noch
kein Schiff dort gewesen war. Auf der Karte daneben ist Kalifornien eine Insel.

Der Garten gehört auch zum Museum. Eine Gärtnerin pflegt dort Kräuter, die früher als Medizin
dienten. Salbei half gegen Husten, und Kamille half gegen beinahe alles. Manche Kräuter sind
giftig, und deshalb stehen sie hinter einem Zaun. Bienen mögen die Kräuter sehr, und ihren Honig
verkaufen wir an der Kasse.

Vor zwei Jahren hatten wir einen Einbruch. Die Diebe kamen durch das Dach und suchten nach Münzen.
Die Münzen waren aber gerade in Wien, und so nahmen die Diebe nur Kopien mit. Die Polizei fand die
Kopien eine Woche später am Bahnhof in einem Schließfach. Seitdem hat das Dach einen Alarm, und
bei jedem Gewitter kommt die Polizei. Die Diebe hat man nie gefunden.

Zum Schluss gehen wir in das Café. Der Kuchen ist von der Bäckerei gegenüber, und der Kaffee kommt
aus Peru. Wer den Kuchen bezahlt, unterstützt damit das Museum. Der Kaffee ist für Gäste meiner
Führung umsonst.
"""


def text_paragraphs(text: str) -> list[list[str]]:
    """The words of each paragraph."""
    return [paragraph.split() for paragraph in text.strip().split("\n\n")]


def spoken(paragraphs: list[list[str]], speaker: str = "", seed: int = 1) -> Iterator[TimedWord]:
    """The words with times. A speaker pauses a little longer before a new topic, but not always:
    the pauses between sentences are from 0.3 to 0.9 s, and those between paragraphs 0.5 to 1.2."""
    pauses = random.Random(seed)
    time = 0.0
    for paragraph in paragraphs:
        for number, text in enumerate(paragraph):
            end = time + 0.06 * len(text)
            yield TimedWord(time, end, text, speaker=speaker)
            is_last = number == len(paragraph) - 1
            if is_last:
                time = end + pauses.uniform(0.5, 1.2)
            elif text.endswith((".", "?")):
                time = end + pauses.uniform(0.3, 0.9)
            else:
                time = end + 0.04
