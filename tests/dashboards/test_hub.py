"""Live events are kept newest-only for each page, and pages are bounded."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path

import pytest

from broker.errors import Unavailable
from dashboards.viewer.hub import Hub, event
from tests.dashboards.samples import parts


def test_a_slow_page_gets_the_newest_of_each_device_and_kind() -> None:
    """However many results have come meanwhile, from another thread, what waits is one a device."""

    async def watch() -> list[tuple[str, int]]:
        hub = Hub(5)
        coming = hub.listen()
        assert (await anext(coming))["event"] == "hello"

        def burst() -> None:
            for number in range(1000):
                hub.publish([event("result", f"ward/scope-{number % 3}", number), event("tick", "", number)])

        thread = threading.Thread(target=burst)
        thread.start()
        await asyncio.to_thread(thread.join)
        await asyncio.sleep(0)  # let the loop hand over what the thread has left
        seen = [await anext(coming) for _ in range(4)]
        hub.close()
        assert [one async for one in coming] == []
        assert hub.listeners == 0
        return sorted((one["event"], json.loads(one["data"])) for one in seen)

    assert asyncio.run(watch()) == [("result", 997), ("result", 998), ("result", 999), ("tick", 999)]


def test_publishing_without_pages_keeps_nothing() -> None:
    """Nor does it after the end."""
    hub = Hub(1)
    hub.publish([event("tick", "", 1)])
    hub.close()
    hub.publish([event("tick", "", 1)])
    assert hub.listeners == 0


def test_one_page_too_many_is_refused_in_words(tmp_path: Path) -> None:
    """With status 503, and the setting that allows more."""

    async def fill(hub: Hub) -> None:
        listening = [hub.listen() for _ in range(2)]
        for one in listening:
            await anext(one)
        with pytest.raises(Unavailable, match="http_clients"):
            hub.check_room()
        for one in listening:
            await one.aclose()  # type: ignore[attr-defined]
        hub.check_room()

    with parts(tmp_path) as one:
        asyncio.run(fill(one.hub))
