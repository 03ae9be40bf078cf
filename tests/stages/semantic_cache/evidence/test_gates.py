"""Each gate by what it keeps apart, and by what it lets pass."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.stages.semantic_cache.evidence import facts, veto

APART = {
    "number": [
        ("How do I save 500 dollars?", "How do I save 5000 dollars?"),
        ("Is 1,000 a lot?", "Is 10,000 a lot?"),
        ("Tell me about 3.5 mm", "Tell me about 35 mm"),
        ("Who lived there with two cats?", "Who lived there with three cats?"),
        ("What was her first album?", "What was her second album?"),
        ("Is it 5 degrees outside?", "Is it -5 degrees outside?"),
        ("What is 2+2?", "What is 2*2?"),
        ("what is 7 - 3", "what is 7 + 3"),
        ("Why did World War I begin?", "Why did World War II begin?"),
        ("Give me half of it", "Give me a quarter of it"),
        ("Is this 50%?", "Is this 50?"),
        ("A rope of 5 m", "A rope of 5 km"),
        ("Is 5 > 3?", "Is 5 < 3?"),
        ("How do I update to 3.11.2?", "How do I update to 3.11.12?"),
        ("What is a pint and a half?", "What is a pint?"),
    ],
    "unit": [
        ("How far is it in miles?", "How far is it in kilometers?"),
        ("What does it cost in $?", "What does it cost in €?"),
    ],
    "date": [
        ("Is the shop open on Monday?", "Is the shop open on Sunday?"),
        ("What is in season in june?", "What is in season in july?"),
    ],
    "quoted": [
        ('What does "over the moon" mean?', 'What does "over the top" mean?'),
        ("What does `open` do?", "What does `close` do?"),
        ("How do I call get_user?", "How do I call set_user?"),
        ("What is in /etc/hosts.allow?", "What is in /etc/hosts/deny?"),
        ("Where is main.py?", "Where is main.js?"),
        ("What does tar --list do?", "What does tar --diff do?"),
    ],
    "negation": [
        ("Which foods can I eat?", "Which foods can I not eat?"),
        ("Why does it work?", "Why doesn't it work?"),
        ("Why does it work?", "why doesnt it work"),
        ("Is it safe to eat?", "Is it unsafe to eat?"),
        ("Is cake useful?", "Is cake useless?"),
        ("Is it refundable?", "Is it non-refundable?"),
        ("Tea with sugar?", "Tea without sugar?"),
        ("Is gluten bread healthy?", "Is gluten-free bread healthy?"),
        ("Can members enter?", "Can only members enter?"),
        ("Should I buy it, not rent it?", "Should I rent it, not buy it?"),
    ],
    "antonym": [
        ("How do I buy gold?", "How do I sell gold?"),
        ("Who is his boss?", "Who is her boss?"),
        ("What is my name?", "What is your name?"),
        ("Can I return it within a week?", "Can I return it after a week?"),
        ("Was it cut by a lot?", "Was it cut to a lot?"),
        ("Are there flights to Rome?", "Are there flights from Rome?"),
        ("What are the advantages?", "What are the advantages and disadvantages?"),
        ("Can I have tea and coffee?", "Can I have tea or coffee?"),
        ("How do I sort in Java?", "How do I sort in JavaScript?"),
        ("What happened before the war?", "What happened after the war?"),
    ],
    "entity": [
        ("What is the capital of France?", "What is the capital of Spain?"),
        ("what is the capital of austria", "what is the capital of australia"),
        ("Is Grace at home?", "Is Rose at home?"),
        ("How do I sort in C?", "How do I sort in C++?"),
        ("Who killed Oswald?", "Who did Oswald kill?"),
        ("What are good restaurants?", "What are good restaurants in Lisbon?"),
    ],
    "condition": [
        ("Is aspirin safe?", "Is aspirin safe during pregnancy?"),
        ("Can I leave?", "Can I leave after lunch?"),
    ],
    "tense": [("Who is the mayor?", "Who was the mayor?"), ("Who is mayor?", "Who will be mayor?")],
    "question": [
        ("Where do I register?", "When do I register?"),
        ("How much is it?", "How many is it?"),
        ("Why is it red?", "Is it red?"),
        ("Can I smoke?", "Should I smoke?"),
    ],
    "order": [
        ("Did Alice pay Bob?", "Did Bob pay Alice?"),
        ("Did Alice pay Bob?", "Was Alice paid by Bob?"),
        ("Is 5 m more than 10 cm?", "Is 10 cm more than 5 m?"),
        ("How do I get from Rome to Paris?", "How do I get from Paris to Rome?"),
    ],
    "word": [
        ("How do I wash a shirt?", "How do I dry-clean a shirt?"),
        ("Is it soft?", "Is it old?"),
    ],
    "length": [("Is it?", " ".join(one + other for one in "abcde" for other in "vwxyz"))],
}  # fmt: skip
TOGETHER = [
    ("How do I learn French?", "How can I learn French?"),
    ("What differs between a cat and a dog?", "What differs between a dog and a cat?"),
    ("Do you like 1,000 dollars?", "Do you like 1000 dollars?"),
    ("Is it two meters?", "Is it 2 metres?"),
    ("In Python, how do I sort a list?", "How do I sort a list in python?"),
    ("How do I fix a colour printer?", "How can I repair a color printer?"),
    ("What does AI mean?", "What does artificial intelligence mean?"),
    ("Who is president of the USA?", "Who is president of the United States?"),
    ("What's an e-mail?", "What is an email?"),
    ("Why can't I sleep?", "Why can I not sleep?"),
    ("Could you please explain gravity?", "What is gravity?"),
    ("Does it help or not?", "Does it help?"),
    ("How do I recieve money?", "How do I receive money?"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("gate", "one", "other"), [(gate, *pair) for gate, pairs in APART.items() for pair in pairs]
)
def test_a_gate_keeps_two_questions_apart_whichever_is_asked(
    gate: str, one: str, other: str
) -> None:
    assert veto(facts(one), facts(other)) == gate
    assert veto(facts(other), facts(one)) == gate


@pytest.mark.parametrize(("one", "other"), TOGETHER)
def test_the_same_question_in_other_words_passes(one: str, other: str) -> None:
    assert veto(facts(one), facts(other)) == ""


@given(st.text(max_size=300))
def test_any_text_may_have_its_own_answer(text: str) -> None:
    assert veto(facts(text), facts(text)) == ""


VOCABULARY = (
    "how do i not never buy sell 5 km miles two half Paris london who was is will the 'x' $ - + "
    "in for between and or from to by cats US us e-mail email can't C++ monday am 3 my your"
)
WORDS = st.sampled_from(VOCABULARY.split())


@given(st.lists(WORDS, max_size=12), st.lists(WORDS, max_size=12))
def test_a_veto_is_the_same_whichever_is_asked(one: list[str], other: list[str]) -> None:
    here, there = facts(" ".join(one)), facts(" ".join(other))
    assert veto(here, there) == veto(there, here)


@given(st.text(max_size=200), st.text(max_size=200))
def test_no_text_breaks_a_gate(one: str, other: str) -> None:
    assert veto(facts(one), facts(other)) == veto(facts(other), facts(one))
