"""Pairs of questions that look alike: flips want two answers, paraphrases want one."""

import random
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple


class Flip(NamedTuple):
    kind: str
    asked: str
    stored: str


def _listed(text: str) -> list[str]:
    return text.split("|")


NAMES = _listed("Paris|London|Berlin|Tokyo|Madrid|Cairo|Lima|Oslo|Nairobi|Boston|Toronto|Mumbai")
COUNTRIES = _listed(
    "Iran|Iraq|Austria|Australia|Niger|Nigeria|Slovakia|Slovenia|France|Spain|Chile"
)
PEOPLE = _listed("Alice|Bob|Maria|Kenji|Priya|Omar|Ingrid|Pavel|Grace|Mark|Rose|Will")
PRODUCTS = _listed("Postgres|Kafka|Nginx|Redis|Docker|Terraform|Jenkins|Grafana|Ansible|Cassandra")
DRUGS = _listed("aspirin|ibuprofen|warfarin|metformin|insulin|paracetamol|amoxicillin|naproxen")
TEAMS = _listed("Arsenal|Chelsea|Liverpool|Everton|Juventus|Milan|Ajax|Porto")
MONTHS = _listed("January|March|April|June|July|September|November|December")
DAYS = _listed("Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday")
LANGUAGES = _listed("Python|Java|JavaScript|Rust|Ruby|Haskell|C|C++|C#|R")
WORDS = _listed("two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty")
UNITS = [
    ("kilometers", "miles"), ("kg", "pounds"), ("Celsius", "Fahrenheit"), ("meters", "feet"),
    ("litres", "gallons"), ("MB", "GB"), ("hours", "minutes"), ("days", "weeks"), ("cm", "inches"),
    ("grams", "ounces"), ("months", "years"), ("mg", "mcg"), ("dollars", "euros"),
    ("seconds", "hours"), ("watts", "volts"),
]  # fmt: skip
OPPOSITES = [
    ("increase", "decrease"), ("buy", "sell"), ("before", "after"), ("largest", "smallest"),
    ("import", "export"), ("open", "close"), ("enable", "disable"), ("minimum", "maximum"),
    ("morning", "evening"), ("encrypt", "decrypt"), ("upload", "download"), ("best", "worst"),
    ("install", "uninstall"), ("cheapest", "most expensive"), ("mother", "father"),
    ("dog", "cat"), ("hot", "cold"), ("first", "last"), ("add", "remove"), ("legal", "illegal"),
]  # fmt: skip

AMOUNTS = (
    "What is the refund policy for orders over ${}?",
    "How do I sort a list of {} numbers?",
    "Can I take {} tablets of {drug} in one day?",
    "What is the monthly payment on a {} dollar loan?",
    "How long does it take to drive {} miles to {name}?",
    "Is a credit score of {} good enough for a mortgage in {country}?",
    "How many users can {product} serve with {} GB of memory?",
    "What does error code {} mean in {product}?",
    "convert {} degrees to radians",
    "Give me a summary of chapter {} of the handbook",
    "How much tax do I pay on an income of €{}?",
    "What is {}% of the price?",
    "Is {} mg of {drug} safe for a child?",
    "Who scored in minute {} of the match of {team}?",
    "What changed in version {}.4 of {product}?",
)
YEARS = (
    "Who won the world cup in {}?",
    "What was the population of {country} in {}?",
    "what laws about rent changed in {} in {country}",
    "Which company was the largest by revenue in {}?",
    "What happened in {name} in {}?",
    "How do I file my taxes for {}?",
    "Who was president of {country} in {}?",
)
NEGATIONS = (
    ("Which foods can I eat with {drug}?", "Which foods can I not eat with {drug}?"),
    ("Is it safe to mix {drug} and alcohol?", "Is it unsafe to mix {drug} and alcohol?"),
    ("How do I deploy {product} with a proxy?", "How do I deploy {product} without a proxy?"),
    ("Should I use {product} for logs?", "Shouldn't I use {product} for logs?"),
    ("Why does {product} start after an update?", "Why doesn't {product} start after an update?"),
    ("Which hotels in {name} allow pets?", "Which hotels in {name} don't allow pets?"),
    ("Can I enter {country} with a visa?", "Can I enter {country} without a visa?"),
    (
        "list the countries in Europe including {country}",
        "list the countries in Europe except {country}",
    ),
    ("Why do people like {team}?", "Why do people never like {team}?"),
    ("Which of {person}'s answers are correct?", "Which of {person}'s answers are incorrect?"),
    ("Is the payment to {person} refundable?", "Is the payment to {person} non-refundable?"),
    ("How can I make {person} cry?", "How can I prevent {person} crying?"),
    ("did {person} sign the contract", "did {person} not sign the contract"),
    ("What happens if I can reach {product}?", "What happens if I cannot reach {product}?"),
)
NAMED = (
    "What is the capital of {country}?",
    "Which museums in {name} are free?",
    "How do I restart {product}?",
    "What are the side effects of {drug}?",
    "When does {team} play?",
    "what did {person} say about the budget",
    "How do I read a file in {language}?",
    "write an email to {person} about the delay",
    "Is {name} a good place to live?",
    "how old is {person}",
    "{name} weather in winter",
    "How do I move from {language} to a newer release?",
)
SWAPS = (
    "How do I get from {} to {} by train?|name",
    "Who beat whom: did {} beat {} in the final?|team",
    "Is {} better than {} for the web?|language",
    "Did {} lend money to {}?|person",
    "Can {} invade {}?|country",
    "How do I migrate from {} to {}?|product",
    "Does {} make {} stronger?|drug",
    "convert a program in {} to {}|language",
    "Why did {} leave {} for good?|person",
    "How many tickets for {} cost as much as a flight over {}?|name",
)
DATED = (
    "What are the opening hours on {day}?",
    "Which concerts are there in {name} in {month}?",
    "Is the office in {name} open on {day}?",
    "When does the sun set in {month} in {country}?",
    "Can I move my meeting with {person} to {day}?",
)
COUNTED = (
    "How far is {name} from the coast in {unit}?",
    "How many {unit} do I need for the recipe of {person}?",
    "convert the result of {product} to {unit}",
    "What is the limit of {drug} in {unit}?",
    "Is 40 {unit} a lot?",
    "what do 12 {unit} cost in {country}",
)
OPPOSED = (
    "How do I {} it in {product}?",
    "What is the {} option in {product}?",
    "which one is the {} in {name}",
    "Should {person} do the {} one?",
)
QUOTED = (
    'What does "{}" mean in {country}?',
    "What does `{}` do in {language}?",
    "translate '{}' into Spanish",
)
PHRASES = [
    "open_file",
    "read_all",
    "break a leg",
    "see you later",
    "max-age",
    "over the moon",
    "get_user",
    "set_user",
]

POOLS: dict[str, Sequence[str]] = {
    "name": NAMES, "country": COUNTRIES, "person": PEOPLE, "product": PRODUCTS, "drug": DRUGS,
    "team": TEAMS, "month": MONTHS, "day": DAYS, "language": LANGUAGES,
}  # fmt: skip
Fill = Callable[[str], str]


def flips(rounds: int, seed: int = 5) -> Iterator[Flip]:
    """Yield pairs that want two answers; some in lower case, as people type."""
    chance = random.Random(seed)
    for _ in range(rounds):
        for kind, asked, stored in _round(chance):
            yield Flip(kind, asked, stored)
            yield Flip(kind, asked.lower(), stored.lower())


def _round(chance: random.Random) -> Iterator[tuple[str, str, str]]:
    for template in AMOUNTS:
        one, other = chance.sample([*map(str, range(2, 99)), "1,500", "15,000", "2.5", "25"], 2)
        yield "number", *_filled(chance, template, one, other)
    one, other = chance.sample(WORDS, 2)
    yield "number", *_filled(chance, "How do I split it between {} people in {name}?", one, other)
    for template in YEARS:
        one, other = (str(year) for year in chance.sample(range(1960, 2026), 2))
        yield "year", *_filled(chance, template, one, other)
    for positive, negative in NEGATIONS:
        values = _values(chance)
        yield "negation", positive.format(**values), negative.format(**values)
    for template in NAMED:
        yield "name", *_two_values(chance, template)
    for template in DATED:
        yield "date", *_two_values(chance, template, "{day}", "{month}")
    for template in SWAPS:
        sentence, _, pool = template.partition("|")
        one, other = chance.sample(POOLS[pool], 2)
        yield "order", sentence.format(one, other), sentence.format(other, one)
    for template in COUNTED:
        one, other = chance.choice(UNITS)
        values = _values(chance)
        yield "unit", template.format(unit=one, **values), template.format(unit=other, **values)
    for template in OPPOSED:
        yield "antonym", *_filled(chance, template, *chance.choice(OPPOSITES))
    for template in QUOTED:
        yield "quoted", *_filled(chance, template, *chance.sample(PHRASES, 2))


def _values(chance: random.Random) -> dict[str, str]:
    return {name: chance.choice(pool) for name, pool in POOLS.items()}


def _filled(chance: random.Random, template: str, one: str, other: str) -> tuple[str, str]:
    values = _values(chance)
    return template.format(one, **values), template.format(other, **values)


def _two_values(chance: random.Random, template: str, *fields: str) -> tuple[str, str]:
    """Fill a template twice, with another value of its first field, or of one of these."""
    field = next(
        name
        for name in POOLS
        if f"{{{name}}}" in template and (not fields or f"{{{name}}}" in fields)
    )
    values = _values(chance)
    one, other = chance.sample(POOLS[field], 2)
    return template.format(**{**values, field: one}), template.format(**{**values, field: other})
