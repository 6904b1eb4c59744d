"""Swap the expert: `python examples/local_expert.py IMAGE "QUESTION" EXPERT`.

EXPERT is the folder of a local checkpoint (Qwen2.5-VL, Qwen3-VL, ...), `provider:model`, `base`
(the base model is its own expert) or `embedded`. For one expert a role, give `resolve_expert` a
mapping: `{"planner": "base", "voter": "./qwen", "critic": "google_genai:gemini-2.5-pro"}`.
"""

import asyncio
import sys

from catts import Context, Trace, answer
from catts.agents.spec import resolve_base, resolve_expert


async def main(image: str, question: str, expert: str) -> Trace:
    base = resolve_base("embedded")
    context = Context.of(base, resolve_expert(expert, base_engine=base), routing="paper")
    try:
        trace = await answer(image, question, context=context)
    finally:
        await context.aclose()
    print(f"{trace.answer_text}, with {trace.expert} as expert")
    if trace.failed_nodes:
        print(f"failed roles: {', '.join(trace.failed_nodes)}")
    return trace


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
