"""The base model and the expert: what both are to the graph, and the words that name them.

`engines` holds the base models and `experts` the experts; neither knows the other. What both need
stands here (the two protocols, the card, keys, failed requests, pictures), and what puts them
together: `spec`, `doctor`, `commands`. `roles`, `panel`, `transformers_engine` and `call_queue` are
the addresses under which users import from the rooms.
"""
