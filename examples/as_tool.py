"""CA-TTS as a tool of an agent: `python examples/as_tool.py FOLDER "REQUEST" PROVIDER:MODEL`.

The agent's own model is any chat model that calls tools, such as `google_genai:gemini-2.5-pro`; the
images are answered by CA-TTS, from the folder and from nowhere else.
"""

import asyncio
import sys

from langchain.agents import create_agent
from langchain.chat_models import init_chat_model
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, HumanMessage

from catts import as_tool, open_context


async def main(folder: str, request: str, model: str | BaseChatModel) -> list[BaseMessage]:
    chat = init_chat_model(model) if isinstance(model, str) else model
    async with open_context(base="embedded", expert="embedded") as context:
        agent = create_agent(chat, tools=[as_tool(context, folder)])
        state = await agent.ainvoke({"messages": [HumanMessage(request)]})
    messages: list[BaseMessage] = state["messages"]
    print(messages[-1].text)
    return messages


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
