import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "graph")]  # for `scripted_engine`, `scripted_models`
