"""`nb201 ask` and `nb201 tell` as tools for a language model, over the Model Context Protocol.

The model gets the two calls and nothing else: this process keeps the state file, and with it the budget.
Afterwards the file is a trajectory like any other (`nb201 replay STATE`, `nb201 report FOLDER`).

    pip install . "mcp>=2"
    python examples/mcp_server.py runs/model-0.jsonl --budget 30 --name my_model

speaks the protocol on stdin and stdout, which is how a host starts it: in most hosts' settings,

    {"mcpServers": {"nb201": {"command": "python",
                              "args": ["examples/mcp_server.py", "/data/model-0.jsonl", "--budget", "30"]}}}

Run on 29 November 2026 with mcp 2.3.0, its own client and Python 3.11.7: tests/agents/searches/test_mcp.py.
"""

from pathlib import Path
from typing import Any

import typer
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

from nb201env.agents.searches import asking
from nb201env.reading import parse_budget

INSTRUCTIONS = f"""Find the neural network with the best validation accuracy, within a budget.
A network is six operations, written {asking.SPACE["architecture"]}; the number after ~ is the node that the
operation reads from. Operations: {", ".join(asking.SPACE["ops"])}.
ask says where the search stands and is free. tell trains the network that you have chosen (the answer is in
a table) and is paid for, each time: one training of several, so the same network may answer differently.
When "over" is true the search has ended; the best of "incumbents" is your answer."""


def server(state: Path) -> MCPServer:
    """The server of one search, which has begun."""
    made = MCPServer("nb201", instructions=INSTRUCTIONS)

    @made.tool()
    def ask() -> dict[str, Any]:
        """Where the search stands: what is left of the budget, all answers so far, the best of them. Free."""
        return asking.ask(state)

    @made.tool()
    def tell(architecture: str) -> dict[str, Any]:
        """Train the network that you have chosen; answers its validation accuracy. Costs a query."""
        try:
            return asking.tell(state, [architecture])
        except ValueError as error:  # the model reads what it wrote wrong
            raise ToolError(str(error)) from error

    return made


def main(
    state: Path, env: str = "NB201-cifar10-v0", budget: str = "30", seed: int = 0, name: str = "outside"
) -> None:
    """Serve one search on stdin and stdout; one that the state file holds goes on."""
    asking.begin(state, env, parse_budget(budget), seed=seed, name=name)
    server(state).run()


if __name__ == "__main__":
    typer.run(main)
