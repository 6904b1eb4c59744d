"""The expert's three roles over any LangChain chat model, a local engine among them."""
