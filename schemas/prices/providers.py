"""Provider name as events carry it in, genai-prices' provider id out.

Events use OpenTelemetry's ``gen_ai.provider.name``, the older ``gen_ai.system`` or names of common SDKs and gateways.
genai-prices' own matching resolves some of them wrongly (``azure.ai.openai`` becomes ``openai``) and some not at all
(``x_ai``), so those that we know are mapped here first.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

_BY_ID: Final[dict[str, tuple[str, ...]]] = {
    "anthropic": ("anthropic", "claude"),
    "aws": ("aws.bedrock", "aws", "bedrock", "bedrock_converse", "amazon-bedrock", "amazon_bedrock"),
    "azure": (
        *("azure.ai.openai", "azure.ai.inference", "az.ai.openai", "az.ai.inference"),
        *("azure", "azure_openai", "azure-openai", "azure_ai"),
    ),
    "cohere": ("cohere", "cohere_chat"),
    "deepseek": ("deepseek",),
    "fireworks": ("fireworks", "fireworks_ai"),
    "google": (
        *(
            "gcp.gemini",
            "gcp.gen_ai",
            "gcp.vertex_ai",
            "gemini",
            "google",
            "google-gla",
            "google-vertex",
            "google_genai",
        ),
        *("vertex_ai", "vertexai", "vertex_ai-anthropic", "google_vertexai", "google-vertex-anthropic"),
    ),
    "groq": ("groq",),
    "mistral": ("mistral_ai", "mistral", "mistralai"),
    "moonshotai": ("moonshot_ai", "moonshotai", "moonshot"),
    "openai": ("openai",),
    "openrouter": ("openrouter",),
    "perplexity": ("perplexity",),
    "together": ("together", "together_ai", "togetherai"),
    "voyageai": ("voyageai", "voyage", "voyage_ai"),
    "x-ai": ("x_ai", "x-ai", "xai", "grok"),
}

ALIASES: Final = MappingProxyType({alias: provider for provider, names in _BY_ID.items() for alias in names})
"""Event's provider name, lower case -> genai-prices provider id."""

GATEWAYS: Final = frozenset({"", "litellm", "litellm_proxy", "portkey", "helicone", "unknown", "_other"})
"""Names that say who passed the call on, not who served it: the provider is found by the model's name instead."""


def provider_id(name: str | None) -> str | None:
    """The genai-prices id for a provider name; None where the name says nothing about who served the call.

    A name that stands in neither table comes back in lower case, for genai-prices (and price overrides) to match.
    """
    plain = (name or "").strip().lower()
    if plain in GATEWAYS:
        return None
    return ALIASES.get(plain, plain)
