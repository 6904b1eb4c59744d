"""The CA-TTS state machine: samples, modules, the ledger of ballots, and the settled answer."""
