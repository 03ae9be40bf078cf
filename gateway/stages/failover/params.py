"""Whether the parameters that a target sets are such as its provider may know."""

from collections.abc import Iterator
from typing import Final

from gateway.documents import suggest
from gateway.stages.failover.targets import TargetPolicy
from gateway.stages.names import Names, Problem

_ANTHROPIC: Final = frozenset(
    {
        *("cache_control", "container", "context_management", "diagnostics", "inference_geo"),
        *("max_tokens", "mcp_servers", "metadata", "output_config", "output_format"),
        *("service_tier", "speed", "stop_sequences", "temperature", "thinking"),
        *("tool_choice", "top_k", "top_p"),
    }
)
_TOLD_TO_ANTHROPIC: Final = frozenset(
    {
        *("frequency_penalty", "function_call", "functions", "logit_bias", "presence_penalty"),
        *("max_completion_tokens", "parallel_tool_calls", "reasoning_effort", "seed", "stop"),
        *("prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "store", "user"),
        *("response_format", "safety_identifier"),
    }
)
"""OpenAI's that are translated for Anthropic, or left out where they only tune an answer."""
_OPENAI: Final = _TOLD_TO_ANTHROPIC | frozenset(
    {
        *("audio", "best_of", "dimensions", "echo", "encoding_format", "logprobs", "max_tokens"),
        *("metadata", "modalities", "moderation", "prediction", "service_tier", "suffix"),
        *("temperature", "tool_choice", "top_logprobs", "top_p", "verbosity"),
        "web_search_options",
    }
)
_SERVERS: Final = frozenset(
    {
        *("chat_template_kwargs", "enable_thinking", "grammar", "guided_choice", "guided_grammar"),
        *("guided_json", "guided_regex", "ignore_eos", "include_reasoning", "keep_alive"),
        *("length_penalty", "min_p", "min_tokens", "mirostat", "models", "num_ctx", "options"),
        *("plugins", "provider", "reasoning", "repeat_penalty", "repetition_penalty", "route"),
        *("skip_special_tokens", "stop_token_ids", "structured_outputs", "think", "top_a"),
        *("transforms", "typical_p", "use_beam_search"),
    }
)
"""What vLLM, SGLang, llama.cpp, Ollama and OpenRouter add to OpenAI's."""
_KNOWN: Final = _ANTHROPIC | _OPENAI | _SERVERS
FIXED: Final = frozenset(
    {"model", "messages", "prompt", "input", "system", "stream", "stream_options", "n", "tools"}
)
"""Parameters that make the request what it is."""
_CLAUDE: Final = "anthropic"


def check_params(
    target: TargetPolicy, at: tuple[str | int, ...], names: Names
) -> Iterator[Problem]:
    """Yield a warning for each parameter that is likely to be a slip, or that is in vain."""
    catalogue = names.catalogue
    model = catalogue.models.get(catalogue.aliases.get(target.model, target.model))
    provider = target.provider or (model.provider if model else "")
    claude = names.kinds.get(provider) == _CLAUDE
    for name, value in target.params.items():
        place = (*at, "params", name)
        if value is None or name in FIXED:
            continue
        if name not in _KNOWN:
            what = f"neither OpenAI nor Anthropic has such a parameter.{suggest(name, _KNOWN)}"
            yield Problem(place, f"{what} The provider may know, ignore or refuse it.", "warning")
        elif claude and name not in _ANTHROPIC | _TOLD_TO_ANTHROPIC:
            what = f"`{provider}` speaks Anthropic's API, which has nothing like it."
            yield Problem(place, f"{what} Requests skip this target, or are refused.", "warning")
    most, asked = model.max_output if model else None, target.params.get("max_tokens")
    if most is not None and isinstance(asked, int) and asked > most:
        what = f"`{target.model}` answers with {most} at most: every request skips this target."
        yield Problem((*at, "params", "max_tokens"), what, "warning")
