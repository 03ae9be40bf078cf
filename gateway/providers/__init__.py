"""The provider kinds that `config/gateway.yaml` may name: one line each."""

from typing import TypeAlias

from gateway.providers.anthropic import AnthropicConfig
from gateway.providers.embedder import EmbedderProviderConfig
from gateway.providers.local.provider import LocalConfig
from gateway.providers.openai import OpenAIConfig
from gateway.providers.simulated.provider import SimulatedConfig

AnyProvider: TypeAlias = (
    OpenAIConfig | AnthropicConfig | LocalConfig | EmbedderProviderConfig | SimulatedConfig
)
