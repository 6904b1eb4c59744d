"""`catts bench server`: what the graph costs on top of a vLLM server."""

from typing import Annotated

import typer


def server(
    base: Annotated[str, typer.Option(help="vllm:ADDRESS#MODEL, one server.")],
    questions: Annotated[int, typer.Option(min=1, help="Questions of each round.")] = 64,
    at_once: Annotated[int, typer.Option(min=1, help="Questions under way at a time.")] = 64,
    samples: Annotated[int, typer.Option(min=1, help="Answers to draw for each question.")] = 8,
    rounds: Annotated[int, typer.Option(min=1, help="Measured rounds.")] = 5,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Compare the graph's throughput on a vLLM server with the raw server's, same requests."""
    from catts.agents.commands import quiet_loading, timing_bar
    from catts.evals.need import need_evals

    need_evals("httpx")
    quiet_loading()
    from catts.evals.studies.server_cost import format_server_cost, run_server_cost

    with timing_bar() as advance:
        cost = run_server_cost(
            base,
            questions,
            at_once=at_once,
            samples=samples,
            rounds=rounds,
            seed=seed,
            advance=advance,
        )
    typer.echo(cost.model_dump_json() if json else format_server_cost(cost))
