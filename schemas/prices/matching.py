"""A provider's models in, the one that a name means out: genai-prices' first-match rule with whole names looked up.

genai-prices tries every model in turn, up to half a millisecond for a name that nobody knows; a sender that invents
model names could stall a worker with that. Most models match by whole names only, so those are one dictionary.
"""

from __future__ import annotations

import re

from genai_prices.types import ClauseEquals, ClauseOr, MatchLogic, ModelInfo, Provider

_DATED = re.compile(r"-20\d{6}(?=-|:|$)")
"""Names that genai-prices would try once more with dashes in the date; they go its own way."""


class ModelIndex:
    """The models of one provider, in the order in which genai-prices tries them."""

    def __init__(self, provider: Provider) -> None:
        self._models = provider.models
        self._whole: dict[str, int] = {}
        self._loose: list[tuple[int, ModelInfo]] = []
        for place, model in enumerate(provider.models):
            names = _whole_names(model.match)
            if names is None:
                self._loose.append((place, model))
            else:
                for name in names:
                    self._whole.setdefault(name.lower(), place)

    def match(self, name: str) -> ModelInfo | None:
        """The first model that matches a lower-case name."""
        end = self._whole.get(name, len(self._models))
        for place, model in self._loose:
            if place > end:
                break
            if model.is_match(name):
                return model
        return self._models[end] if end < len(self._models) else None


class Models:
    """The models of all providers, with those that a provider resells."""

    def __init__(self, providers: list[Provider]) -> None:
        self._providers = providers
        self._index = {provider.id: ModelIndex(provider) for provider in providers}

    def find(self, provider: Provider, name: str) -> ModelInfo | None:
        """What ``provider.find_model`` answers for a lower-case name."""
        if _DATED.search(name):
            return provider.find_model(name, all_providers=self._providers)
        for provider_id in (provider.id, *(provider.fallback_model_providers or ())):
            index = self._index.get(provider_id)
            if index is not None and (model := index.match(name)):
                return model
        return None


def _whole_names(clause: MatchLogic) -> list[str] | None:
    """The names of a clause that is nothing but equalities; None for any other."""
    match clause:
        case ClauseEquals(equals=name):
            return [name]
        case ClauseOr(or_=parts):
            names = [_whole_names(part) for part in parts]
            return None if None in names else [name for each in names if each for name in each]
        case _:
            return None
