import pytest


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests are sent again after next to no time."""
    monkeypatch.setattr("catts.agents.experts.requests._FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr("catts.agents.experts.requests._JITTER_S", 0.001)
    monkeypatch.setattr("google.genai._api_client._RETRY_INITIAL_DELAY", 0.001)
    monkeypatch.setattr("google.genai._api_client._RETRY_JITTER", 0.001)
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.001)
