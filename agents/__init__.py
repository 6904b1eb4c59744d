"""The base model behind one protocol, and the expert's three roles over any chat model."""
