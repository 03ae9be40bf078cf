"""Pairs of questions that want one answer: what gates cost is how many of them they keep apart."""

from collections.abc import Iterator
from itertools import combinations

TASKS = (
    "reset a router", "learn to swim", "bake sourdough bread", "change a bike tire",
    "remove rust from a pan", "apply for a passport", "prune an apple tree", "tune a guitar",
    "freeze soup", "train a puppy", "write a cover letter", "grow tomatoes indoors",
    "improve my handwriting", "merge two branches in Git", "deploy a Django site",
    "restore a Postgres backup", "resize an image in Python", "get a refund for a ticket",
    "cancel a subscription on Netflix", "renew a driving licence in Ireland", "treat a sunburn",
    "clean a leather sofa", "sleep better", "quit smoking", "save money for a house",
)  # fmt: skip
HOW = (
    "How do I {}?", "How can I {}?", "how to {}", "What is the best way to {}?",
    "Please tell me how to {}.",
)  # fmt: skip
THINGS = (
    "photosynthesis", "a mortgage", "machine learning", "the Doppler effect", "inflation",
    "a black hole", "HTTP", "the Krebs cycle", "compound interest", "a load balancer",
)  # fmt: skip
WHAT = ("What is {}?", "what's {}", "Explain {}", "Can you please explain {}?")
BY_HAND = (
    ("What's the capital of Peru?", "What is the capital of Peru"),
    ("What is the salary of a nurse in Canada?", "What is the pay of a nurse in Canada?"),
    ("Which is the best laptop for students?", "What is the best laptop for a student?"),
    ("How do I buy a used car?", "How can I purchase a used car?"),
    ("Why is the sky blue?", "What is the reason the sky is blue?"),
    ("How many planets are in the solar system?", "How many planets does the solar system have?"),
    ("In Python, how do I sort a dict?", "How do I sort a dict in Python?"),
    ("What is the difference between TCP and UDP?", "What is the difference between UDP and TCP?"),
    ("How long does a visa for the US take?", "How long does a visa for the USA take?"),
    ("What does AI mean?", "What does artificial intelligence mean?"),
    ("How do I quickly learn French?", "How do I learn French quickly?"),
    ("Is coffee bad for your heart?", "Is coffee bad for the heart?"),
    ("What are good movies about chess?", "What are the best films about chess?"),
    ("Who wrote Hamlet?", "Who is the author of Hamlet?"),
    ("When was the Eiffel Tower built?", "When did they build the Eiffel Tower?"),
    ("Can I freeze cooked rice?", "Is it possible to freeze cooked rice?"),
    ("What is the colour of copper sulfate?", "What is the color of copper sulfate?"),
    ("How do I fix error 404 in Nginx?", "How can I repair error 404 in nginx?"),
    ("How do I get rid of ants in the kitchen?", "How do I get ants out of my kitchen?"),
    ("What should I eat before a marathon?", "What should I eat prior to a marathon?"),
    ("Why can't I sleep?", "Why am I not able to sleep?"),
    ("How do you boil an egg?", "How does one boil an egg?"),
    ("Which countries border Chad?", "What countries border Chad?"),
    ("how do i lern Spanish", "How do I learn Spanish?"),
    ("How much is 20 percent of 50?", "How much is 20% of 50?"),
    ("How far is the moon?", "What is the distance to the moon?"),
    ("What is two plus two?", "What is 2 plus 2?"),
    ("Does green tea help you lose weight?", "Will green tea help me lose weight?"),
    ("What are the symptoms of flu?", "What symptoms does flu have?"),
    ("Where can I watch the Olympics?", "Where can one watch the Olympics online?"),
)  # fmt: skip


def paraphrases() -> Iterator[tuple[str, str]]:
    """Yield pairs: most from frames, the rest as people would say them."""
    for things, frames in ((TASKS, HOW), (THINGS, WHAT)):
        for thing in things:
            for one, other in combinations(frames, 2):
                yield one.format(thing), other.format(thing)
    yield from BY_HAND
