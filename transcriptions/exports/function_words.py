"""Words that a line should not end with, by language. Imports no Django.

A line is broken before a preposition or a conjunction, and not after an article, a pronoun or an
auxiliary verb (Netflix, Timed Text Style Guide, "Line Treatment").
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FunctionWords:
    """Words in lower case. A word in two sets belongs to the first one."""

    determiners: frozenset[str]  # articles, possessives: belong to the noun that follows
    links: frozenset[str]  # prepositions, conjunctions: belong to what follows
    openers: frozenset[str]  # subject pronouns, auxiliary verbs, negations


def _of(determiners: str, links: str, openers: str) -> FunctionWords:
    return FunctionWords(*(frozenset(words.split()) for words in (determiners, links, openers)))


FUNCTION_WORDS = {
    "en": _of(
        "a an the my your his her its our their this that these those each every some any no "
        "another both all many few several other such what which whose",
        "and or but nor so yet because although though while when where whenever if unless until "
        "since than as whether that who whom about above across after against along among around "
        "at before behind below beneath beside between beyond by despite down during except for "
        "from in inside into like near of off on onto out outside over past per through "
        "throughout to toward towards under underneath up upon via with within without",
        "i you he she it we they there am is are was were be been being have has had do does did "
        "will would shall should can could may might must not never don't doesn't didn't isn't "
        "aren't wasn't weren't won't can't couldn't wouldn't shouldn't very too quite really more "
        "most less how why let's mr mrs ms dr prof st",
    ),
    "de": _of(
        "der die das den dem des ein eine einen einem einer eines kein keine keinen keinem keiner "
        "mein meine meinen meinem meiner dein deine sein seine seinen seinem seiner ihr ihre ihren "
        "ihrem ihrer unser unsere unseren euer eure dieser diese dieses diesen diesem jeder jede "
        "jedes jeden jedem alle viele einige welche welcher welches zum zur im am beim vom ins ans",
        "und oder aber denn sondern sowie weil dass daß ob wenn als während obwohl damit bevor "
        "nachdem bis seit sobald solange falls wie wo woher wohin warum in an auf aus bei mit nach "
        "von zu für gegen ohne um durch über unter vor hinter neben zwischen wegen trotz statt "
        "außer gegenüber entlang",
        "ich du er sie es wir man ist sind war waren bin bist seid habe hast hat haben hatte "
        "hatten werde wird werden wurde wurden kann können konnte muss müssen musste soll sollen "
        "will wollen darf dürfen mag nicht nie sehr zu ganz herr frau dr prof",
    ),
    "fr": _of(
        "le la les l un une des du de au aux mon ma mes ton ta tes son sa ses notre nos votre vos "
        "leur leurs ce cet cette ces chaque quelques plusieurs tout toute tous toutes quel quelle",
        "et ou mais donc or ni car que qui dont où si quand lorsque puisque comme parce à dans en "
        "par pour sur sous avec sans vers chez entre contre depuis pendant avant après dès jusque "
        "jusqu malgré selon",
        "je j tu il elle on nous vous ils elles ne n me m te t se s y est sont était étaient suis "
        "es sommes êtes ai as a avons avez ont avait avaient sera seront peut peuvent doit "
        "doivent va vont pas très plus trop m mme mlle dr",
    ),
    "es": _of(
        "el la los las un una unos unas lo mi mis tu tus su sus nuestro nuestra nuestros nuestras "
        "este esta estos estas ese esa esos esas aquel aquella cada algún alguna todo toda todos "
        "todas al del",
        "y e o u pero sino ni que quien quienes cual cuyo donde cuando como porque aunque si "
        "mientras a ante bajo con contra de desde durante en entre hacia hasta para por según sin "
        "sobre tras",
        "yo tú él ella usted nosotros ustedes ellos ellas me te se nos le les es son era eran soy "
        "eres somos está están estaba he has ha hemos han había habían será puede pueden debe "
        "deben va van no muy más tan sr sra dr",
    ),
    "it": _of(
        "il lo la i gli le l un uno una mio mia miei mie tuo tua suo sua suoi sue nostro nostra "
        "vostro loro questo questa questi queste quel quello quella quei quelle ogni alcuni tutto "
        "tutti del dello della dei degli delle al allo alla ai agli alle dal dalla nel nella sul",
        "e ed o ma però né che chi cui dove quando come perché se mentre anche a ad da di in con "
        "per su tra fra senza verso contro durante dopo prima",
        "io tu lui lei noi voi mi ti si ci vi ne è sono era erano sei siamo siete ho hai ha "
        "abbiamo avete hanno aveva può possono deve devono va non molto più sig dott",
    ),
    "pt": _of(
        "o a os as um uma uns umas meu minha meus minhas teu tua seu sua seus suas nosso nossa "
        "este esta estes estas esse essa aquele aquela cada algum alguma todo toda todos todas "
        "do da dos das no na nos nas ao à aos às pelo pela num numa",
        "e ou mas nem que quem cujo onde quando como porque embora se enquanto ante até com contra "
        "de desde durante em entre para perante por sem sob sobre",
        "eu tu ele ela você nós vocês eles elas me te se nos lhe é são era eram sou és somos está "
        "estão estava tenho tem têm tinha foi foram será pode podem deve devem vai vão não muito "
        "mais tão sr sra dr",
    ),
    "nl": _of(
        "de het een mijn jouw zijn haar ons onze jullie hun deze dit die dat elke ieder alle geen",
        "en of maar want omdat dat als toen terwijl hoewel zodat voordat nadat tot wie waar in op "
        "aan van voor met bij uit naar over onder tussen door tegen zonder om tijdens na te",
        "ik jij je u hij zij ze wij we er is ben bent waren was heb hebt heeft hebben had hadden "
        "zal zullen kan kunnen moet moeten wil willen mag niet nooit zeer heel meer",
    ),
    "sv": _of(
        "en ett den det de min mitt mina din ditt sin sitt sina hans hennes vår vårt våra deras "
        "denna detta dessa varje alla några ingen",
        "och eller men för att som om när medan eftersom fast än i på av med till från vid under "
        "över mellan genom utan mot hos efter före innan",
        "jag du han hon vi ni är var har hade ska skulle kan kunde måste vill inte aldrig mycket",
    ),
    "da": _of(
        "en et den det de min mit mine din dit sin sit sine hans hendes vores deres denne dette "
        "disse hver alle nogle ingen",
        "og eller men for at som der hvis når mens fordi end i på af med til fra ved under over "
        "mellem gennem uden mod hos efter før",
        "jeg du han hun vi er var har havde skal skulle kan kunne må vil ikke aldrig meget",
    ),
    "no": _of(
        "en ei et den det de min mitt mine din ditt sin sitt sine hans hennes vår vårt våre deres "
        "denne dette disse hver alle noen ingen",
        "og eller men for å at som hvis når mens fordi enn i på av med til fra ved under over "
        "mellom gjennom uten mot hos etter før",
        "jeg du han hun vi dere er var har hadde skal skulle kan kunne må vil ikke aldri veldig",
    ),
    "pl": _of(
        "mój moja moje twój twoja jego jej nasz nasza wasz ich ten ta to ci te każdy każda "
        "wszystkie",
        "i oraz a ale lub albo że żeby bo ponieważ gdy kiedy jeśli jak gdzie który która które "
        "którzy w we z ze na do od po pod nad przed przez dla o u bez przy między",
        "ja ty on ona ono my wy oni się jest są był była było były nie bardzo może można",
    ),
    "ru": _of(
        "мой моя моё мои твой твоя его её наш наша ваш их этот эта это эти тот та те каждый все",
        "и а но или что чтобы потому если когда как где который которая которое которые в во на с "
        "со к ко у о об от до из за по под над при про без для через между",
        "я ты он она оно мы вы они не ни очень бы же был была было были есть может",
    ),
}
FUNCTION_WORDS |= {"nb": FUNCTION_WORDS["no"], "nn": FUNCTION_WORDS["no"]}
