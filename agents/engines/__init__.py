"""Base models behind the protocol `Engine`: how they read and decode, and how sure they are."""
