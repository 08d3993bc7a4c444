"""Which providers there are, and in what order a recipe tries them. The only table of its kind."""

from __future__ import annotations

from collections.abc import Callable

from relume.builtin.cartoon import STYLES
from relume.errors import NoProvider, SettingsError
from relume.ports import Credit, Provider
from relume.providers.builtin import BuiltinProvider
from relume.providers.chain import Breakers, Chain, Patience
from relume.providers.cog import CogProvider
from relume.providers.generic import GenericProvider
from relume.providers.huggingface import HuggingFaceProvider
from relume.providers.local import LocalProvider
from relume.providers.mock import MOCK_TOKEN, MockProvider
from relume.providers.replicate import ReplicateProvider
from relume.recipes import Recipe
from relume.settings import Settings
from relume.tasks import Cartoonify, GenerateText, RestoreFaces, TextToImage, Upscale

FACTORIES: dict[str, Callable[[Settings], Provider]] = {
    "replicate": ReplicateProvider.from_settings,
    "cog": CogProvider.from_settings,
    "huggingface": HuggingFaceProvider.from_settings,
    "local": LocalProvider.from_settings,
    "builtin": BuiltinProvider.from_settings,
    "mock": MockProvider.from_settings,
    "generic": lambda _settings: GenericProvider(),
}
"""Adding a provider: write one file, add one line."""

OUT_OF_CHAINS = frozenset({"generic"})
"""Used only when `PROVIDER` names them."""


class Catalog:
    """The configured providers, and the chain of a recipe."""

    def __init__(self, settings: Settings, breakers: Breakers | None = None) -> None:
        self._only = None if settings.provider == "auto" else settings.provider
        if self._only is not None and self._only not in FACTORIES:
            raise SettingsError(
                f"PROVIDER is wrong: '{self._only}' is not in this version of Relume; "
                f"it may be auto, {' or '.join(FACTORIES)}."
            )
        self._order = {
            RestoreFaces.name: settings.chain_restore_faces,
            Upscale.name: settings.chain_upscale,
            Cartoonify.name: settings.chain_cartoonify,
            TextToImage.name: settings.chain_text_to_image,
            GenerateText.name: settings.chain_text,
        }
        if _is_mock_mode(settings):
            self._order = {task: _mocked(order) for task, order in self._order.items()}
        self._patience = Patience(
            timeout_seconds=settings.provider_timeout_seconds,
            attempts=max(settings.max_retry_attempts, 1),
            backoff_factor=settings.retry_backoff_factor,
        )
        self.breakers = breakers or Breakers()
        self._providers = {
            name: make(settings) for name, make in FACTORIES.items() if name not in OUT_OF_CHAINS
        }

    @property
    def providers(self) -> list[Provider]:
        """Those that may be used: all, or the one that `PROVIDER` names."""
        if self._only == GenericProvider.name:
            return [GenericProvider()]
        return [provider for name, provider in self._providers.items() if self._only in (None, name)]

    def chain(self, recipe: Recipe) -> Chain:
        """The chain that works for a recipe.

        A recipe that names its providers is held to them: "this machine only" is a promise, which `PROVIDER`
        does not overrule. The dummy alone does everything.
        """
        if self._only == GenericProvider.name:
            return self._chain([GenericProvider(len(recipe.tasks))], {})
        allowed = self.providers
        if recipe.providers is not None:
            allowed = [provider for name, provider in self._providers.items() if name in recipe.providers]
        if recipe.local_only:
            allowed = [provider for provider in allowed if provider.is_local]
        return self._chain(allowed, {} if self._only else self._order)

    @property
    def cartoon_styles(self) -> tuple[str, ...]:
        """The styles that the step which ends the chain knows, the default first."""
        return STYLES

    def chains(self) -> dict[str, list[str]]:
        """For each kind of task, the names of those who would be tried now, in order."""
        samples = (RestoreFaces(), Upscale(), Cartoonify(), TextToImage(""), GenerateText(""))
        chain = self._chain(self.providers, {} if self._only else self._order)
        return {task.name: [provider.name for provider in chain.candidates(task)] for task in samples}

    @property
    def credits(self) -> list[tuple[str, Credit]]:
        """Of the weights on this machine that are used now, each with what it is for."""
        return [credit for provider in self.providers for credit in getattr(provider, "credits", ())]

    @property
    def fingerprint(self) -> str:
        """What results depend on besides the providers' names: the weights that are here."""
        return " ".join(getattr(provider, "fingerprint", "") for provider in self._providers.values())

    async def refresh(self) -> None:
        """Have those providers look around whose means can come and go while the service runs."""
        for provider in self._providers.values():
            refresh = getattr(provider, "refresh", None)
            if refresh is not None:
                await refresh()

    async def close(self) -> None:
        """Close the connections of those providers that hold any."""
        for provider in self._providers.values():
            close = getattr(provider, "aclose", None)
            if close is not None:
                await close()

    def _chain(self, providers: list[Provider], order: dict[str, tuple[str, ...]]) -> Chain:
        return Chain(providers, order, patience=self._patience, breakers=self.breakers)

    def served_by(self, recipe: Recipe) -> list[str]:
        """Names of the providers that would be tried for a recipe, in order of first use."""
        chain = self.chain(recipe)
        return list(
            dict.fromkeys(provider.name for task in recipe.tasks for provider in chain.candidates(task))
        )

    def check_local(self, recipe: Recipe) -> None:
        """Raises NoProvider for work that is to stay on this machine where nothing here could do all of it."""
        chain = self.chain(recipe)
        if recipe.local_only and not all(chain.candidates(task) for task in recipe.tasks):
            raise NoProvider(
                "This was to stay on this machine (local_only), and nothing here can do it: "
                "no local model is configured for it."
            )

    def first_choices(self, recipe: Recipe) -> list[Provider]:
        """Who does each task of a recipe if all goes well; shorter than its tasks where one has nobody."""
        chain = self.chain(recipe)
        return [provider for task in recipe.tasks for provider in chain.candidates(task)[:1]]

    def estimate_usd(self, recipe: Recipe) -> float:
        """What a job of a recipe usually costs with the providers that come first."""
        chain = self.chain(recipe)
        return round(sum(chain.estimate_usd(task) for task in recipe.tasks), 6)

    def lane(self, recipe: Recipe) -> str:
        """`local` when the first choice for any task keeps this machine's device busy, else `hosted`."""
        return "local" if any(one.needs_device for one in self.first_choices(recipe)) else "hosted"


def _is_mock_mode(settings: Settings) -> bool:
    token = settings.replicate_api_token
    return token is not None and token.get_secret_value() == MOCK_TOKEN


def _mocked(order: tuple[str, ...]) -> tuple[str, ...]:
    """In mock mode the mock stands where Replicate would."""
    return tuple(dict.fromkeys("mock" if name == "replicate" else name for name in order))
