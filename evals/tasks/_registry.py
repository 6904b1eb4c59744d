"""What Inspect finds under the name `catts`: tasks, solver, scorers, and the hook that frees."""

from catts.evals.tasks.models import CattsHooks
from catts.evals.tasks.scorers import official, strict
from catts.evals.tasks.solver import catts
from catts.evals.tasks.tasks import embedded, mathvision, mathvista, mmmu, mmstar

__all__ = [
    "CattsHooks",
    "catts",
    "embedded",
    "mathvision",
    "mathvista",
    "mmmu",
    "mmstar",
    "official",
    "strict",
]
