"""Who restores photos: the catalog of providers, and the pipeline over it."""

from __future__ import annotations

from relume.imaging.limits import MEGABYTE
from relume.metrics import BREAKER_OPENINGS
from relume.pipeline import Pipeline
from relume.ports import BreakerNews, Meters
from relume.providers.catalog import Catalog
from relume.providers.chain import Breakers
from relume.settings import Settings


def build_pipeline(settings: Settings) -> Pipeline:
    """What restores one photo, with no server, database or queue. To be closed after use."""
    catalog = Catalog(settings)
    return Pipeline(catalog.chain, close=catalog.close)


def build_catalog(settings: Settings, news: BreakerNews, meters: Meters) -> Catalog:
    """The providers of a process that serves or works, with breakers that other processes hear of."""
    catalog = Catalog(settings, Breakers(news))
    catalog.breakers.on_open = lambda provider, task: meters.count(
        BREAKER_OPENINGS, provider=provider, task=task
    )
    return catalog


def serving_pipeline(settings: Settings, catalog: Catalog) -> Pipeline:
    """What restores the photos of many jobs within the memory that is set. Its catalog is closed by itself."""
    return Pipeline(
        catalog.chain,
        memory_bytes=int(settings.photo_memory_mb * MEGABYTE),
        keep_unmixed=settings.keep_unmixed,
    )
