"""Ask one question about an image: `python examples/answer.py IMAGE "QUESTION" [CHOICE ...]`."""

import asyncio
import sys

from catts import Trace, answer


async def main(image: str, question: str, *choices: str) -> Trace:
    trace = await answer(image, question, choices=choices, base="embedded", expert="embedded")
    print(trace.answer_text)
    for candidate, votes in trace.votes.items():
        print(f"  {candidate}: {votes:.2f} votes")
    for decision in trace.route:
        print(f"  to {', '.join(decision.to)}: {decision.reason}")
    return trace


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
