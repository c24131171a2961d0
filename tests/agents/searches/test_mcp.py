"""examples/mcp_server.py, driven over stdin and stdout by the client of the `mcp` package itself."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from nb201env.agents.searches import asking
from nb201env.agents.searches.recorder import replay
from nb201env.trajectory import read
from tests.agents.searches import outside
from tests.conftest import ROOT

BUDGET = 8


async def driven(state: Path) -> tuple[dict[str, Any], list[str]]:
    """What the server offers, and which mistakes it explained; its search is over afterwards."""
    mcp = pytest.importorskip("mcp", reason="needs the package mcp")
    words = [str(ROOT / "examples" / "mcp_server.py"), str(state), "--budget", str(BUDGET), "--seed", "2"]
    server = mcp.StdioServerParameters(command=sys.executable, args=words)
    async with mcp.Client(server) as client:
        tools = {tool.name: tool.input_schema for tool in (await client.list_tools()).tools}

        async def call(name: str, **arguments: str) -> Any:
            result = await client.call_tool(name, arguments)
            return result.content[0].text if result.is_error else result.structured_content

        mistakes = [await call("tell", architecture=wrong) for wrong in ("6111", "|none~0|", "")]
        standing = await call("ask")
        searcher = outside.local_search(standing["space"], seed=4)
        told, chosen = await call("tell", architecture=next(searcher)), ""
        while not told["over"]:
            chosen = searcher.send(told["answers"][0]["accuracy"])
            told = await call("tell", architecture=chosen)
        assert (await call("tell", architecture=chosen))["answers"] == []
        assert (await call("ask"))["left"] == {"queries": 0}
    return tools, mistakes


@pytest.mark.slow
def test_a_model_has_two_tools_and_a_budget(tmp_path: Path) -> None:
    tools, mistakes = asyncio.run(driven(state := tmp_path / "model-2.jsonl"))
    assert {name: [*schema["properties"]] for name, schema in tools.items()} == {
        "ask": [], "tell": ["architecture"],
    }  # fmt: skip
    assert "could be two architectures" in mistakes[0]
    assert all("Traceback" not in text for text in mistakes)
    again = outside.local_search(asking.SPACE, seed=4)
    assert outside.lines(state) == outside.through_gym(
        again, tmp_path / "gym.jsonl", 2, budget_queries=BUDGET
    )
    assert replay(read(state)) == []
