"""What `--base` and `--expert` may say, and the models they stand for: the public door."""

from catts.agents.base_spec import (
    SHIPPED,
    BaseSpec,
    Shipped,
    check_local,
    embedded_folder,
    import_libraries,
    resolve_base,
    runs_here,
    shipped_folder,
)
from catts.agents.expert_spec import ExpertSpec, LimitsSpec, check_expert, resolve_expert

__all__ = [
    "SHIPPED",
    "BaseSpec",
    "ExpertSpec",
    "LimitsSpec",
    "Shipped",
    "check_expert",
    "check_local",
    "embedded_folder",
    "import_libraries",
    "resolve_base",
    "resolve_expert",
    "runs_here",
    "shipped_folder",
]
