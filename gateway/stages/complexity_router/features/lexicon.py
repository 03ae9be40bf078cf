"""What words tell of a task: small lists, looked up once a token.

A word stands in every list that it fits. All are lower case: a prompt in capitals is the same task.
"""

from collections.abc import Mapping
from typing import Final

NUMBER_WORDS: Final = (
    "two three four five six seven eight nine ten eleven twelve fifteen twenty thirty forty fifty "
    "hundred thousand million half halves third thirds quarter quarters double triple twice "
    "thrice dozen dozens percent percentage fraction average"
)
UNITS: Final = (
    "second seconds minute minutes hour hours day days week weeks month months year years inch "
    "inches foot feet yard yards mile miles meter meters km cm mm kg gram grams pound pounds lbs "
    "ounce ounces liter liters gallon gallons cup cups dollar dollars cent cents degrees mph"
)
RELATIONS: Final = (
    "each every per total altogether more less fewer than times remaining left rest same as "
    "apiece combined both spend spends spent cost costs earn earns sold sells bought buys price"
)
MATHS: Final = (
    "prove proof theorem lemma equation equations integral derivative polynomial matrix vector "
    "probability integer integers prime modulo divisible triangle circle angle radius sum product "
    "function domain root roots ratio algebra geometry calculate compute solve graph group ring "
    "field finite continuous converge expected variance distribution sequence series optimal "
    "minimum maximum coefficient exponent logarithm frac sqrt cdot leq geq theta sin cos tan log"
)
CODE: Final = (
    "code function def class return import print const let var async await int str bool void null "
    "none true false self api http json xml yaml html css sql query select database table schema "
    "algorithm array arrays string loop recursion regex script program compile library framework "
    "module package method variable parameter pointer thread threads server client docker "
    "kubernetes linux bash shell git unit tests endpoint struct enum interface implement"
)
LANGUAGES: Final = (
    "python java javascript typescript rust golang ruby php kotlin swift scala haskell perl "
    "matlab sql bash powershell react angular vue django flask node nodejs pytorch tensorflow "
    "numpy pandas excel vba arduino verilog assembly cuda unity jquery spring laravel aws azure "
    "terraform cpp"
)
FAILURES: Final = (
    "error errors exception traceback bug bugs debug crash crashes fails failed failing failure "
    "undefined segfault stack wrong broken fix issue warning timeout"
)
DEMANDS: Final = (
    "must should need needs require required requires requirements exactly only without avoid "
    "ensure include including contain use using least most limit limited constraint constraints "
    "following specific detailed detail step steps based given according assume provided"
)
FORMATS: Final = (
    "json table list lists bullet bullets points csv markdown format formatted words paragraph "
    "paragraphs sentences characters template outline latex diagram columns rows sections "
    "headings"
)
REWRITES: Final = (
    "rewrite rephrase paraphrase summarize summarise summary translate translation shorten edit "
    "correct grammar proofread classify extract convert improve sentence text article"
)
CREATIONS: Final = (
    "story poem song lyrics joke essay novel character characters dialogue scene blog email "
    "letter speech slogan name names title haiku rap recipe recipes describe imagine role act"
)
MAKING: Final = (
    "write create build implement generate design develop draft make produce plan propose devise "
    "construct provide give show configure optimize optimise refactor deploy simulate model"
)
ANALYSIS: Final = (
    "explain analyze analyse analysis compare contrast evaluate discuss why how differences "
    "difference advantages disadvantages pros cons implications tradeoffs strategy strategies "
    "approach impact effect effects relationship critique justify derive interpret reasoning"
)
RECALL: Final = "who whom whose when where what which name capital born author played won year"
STEPS: Final = (
    "first then next after afterwards finally before later second third last again until while "
    "also additionally step start begin end"
)
LOGIC: Final = (
    "if suppose assume given unless let either neither cannot implies therefore thus hence "
    "because since although however whether would could except not never false true incorrect "
    "best likely"
)
NEGATIONS: Final = "not except never no none nor neither without false incorrect least cannot"
LAW: Final = (
    "court law legal statute plaintiff defendant contract property jury trial crime criminal "
    "liability constitution constitutional amendment act state federal tort evidence rights "
    "treaty jurisdiction owner landowner deed sued suit guilty murder police"
)
MEDICINE: Final = (
    "patient disease symptoms treatment diagnosis clinical cell cells blood virus gene genes "
    "protein drug drugs hormone bone muscle nerve heart pain infection surgery woman man "
    "examination physician medical cancer syndrome dna therapy health"
)
SCIENCE: Final = (
    "energy force mass velocity electron electrons atom atoms molecule acid reaction temperature "
    "pressure gas chemical physics chemistry biology species organism planet earth light wave "
    "magnetic electric current voltage wavelength solution equilibrium enzyme ion ions oxygen "
    "carbon"
)
SOCIETY: Final = (
    "government political policy economic economy market social society war century culture "
    "religion moral morally ethics philosophy theory history world international power trade tax "
    "firm demand supply inflation monetary business management marketing organization argument"
)
PERSONS: Final = "i me my mine you your we our us"
OTHERS: Final = "he she his her him hers they their them"
FUNCTION: Final = (
    "a an the of to in on at by for with from and or but is are was were be been being am do does "
    "did has have had it its this that these those there here i me my you your we our us as so if "
    "then than can could will would shall should may might not no into about over under out up "
    "down"
)
COURTESY: Final = (
    "hi hello hey dear please kindly thanks thank cheers help helping helps assist question "
    "questions answer answers carefully appreciate appreciated regards advance asking ask want "
    "know tell let following below quick assistant sir just like ok okay sure great helpful "
    "prompt user response respond reply task instruction instructions message input query"
)

LISTS: Final[Mapping[str, str]] = {
    "number words": NUMBER_WORDS,
    "units": UNITS,
    "relations": RELATIONS,
    "maths words": MATHS,
    "code words": CODE,
    "languages": LANGUAGES,
    "failures": FAILURES,
    "demands": DEMANDS,
    "formats": FORMATS,
    "rewrites": REWRITES,
    "creations": CREATIONS,
    "making": MAKING,
    "analysis": ANALYSIS,
    "recall": RECALL,
    "steps": STEPS,
    "logic": LOGIC,
    "negations": NEGATIONS,
    "law": LAW,
    "medicine": MEDICINE,
    "science": SCIENCE,
    "society": SOCIETY,
    "first persons": PERSONS,
    "third persons": OTHERS,
}
"""Every list is a feature: how many tokens of a prompt are in it."""
EMPTY: Final = frozenset(FUNCTION.split()) | frozenset(COURTESY.split())
"""Words that say nothing of the task: they do not count as its length."""


def _places() -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for place, words in enumerate(LISTS.values()):
        for word in set(words.split()):
            found[word] = (*found.get(word, ()), place)
    return found


PLACES: Final[Mapping[str, tuple[int, ...]]] = _places()
"""Of each word, the numbers of the lists it is in."""
_ASSENT: Final = (
    "yes yep yeah y ok okay sure please do it go ahead proceed continue correct right exactly "
    "agreed great good fine perfect thanks thank you that sounds more next k yup"
)
ASSENT: Final = frozenset(_ASSENT.split())
"""A turn of these alone approves of what was said before it."""
