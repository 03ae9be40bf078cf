"""The kinds of embedder that `embedder:` in `config/gateway.yaml` may name: one line each."""

from typing import TypeAlias

from gateway.semantic.base import NoEmbedder
from gateway.semantic.minilm.embedder import MiniLMConfig
from gateway.semantic.openai import OpenAIEmbedderConfig
from gateway.semantic.sentence_transformers import SentenceTransformersConfig

AnyEmbedder: TypeAlias = (
    MiniLMConfig | SentenceTransformersConfig | OpenAIEmbedderConfig | NoEmbedder
)
