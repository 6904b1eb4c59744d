"""What each embedded model is taught: sizes, tasks, grades, noise and length of training."""

from dataclasses import dataclass

from catts.embedded.architecture import BASE, EXPERT, Size
from catts.embedded.lessons import Task
from catts.embedded.scene import Grade


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides a training run, besides the code and the seed."""

    name: str
    size: Size
    tasks: dict[Task, float]
    """Shares of the lessons."""
    grades: dict[Grade, float]
    """Shares of the perceptual grades among the lessons' pictures."""
    vision_grades: dict[Grade, float]
    """The same in the first stage; where most pictures are hard, nothing is learned from them."""
    slips: float
    """Share of things that are mistaken in the answers that are taught, as people mistake them.

    Without slips a model of clear pictures says the same thing eight times, and no vote helps.
    """
    noised: float
    """Share of pictures on which some cells are noised, with the right answer as the target."""
    vision_steps: int
    """Steps of the first stage: the vision tower names what stands in each cell."""
    look_steps: int
    """First steps of the second stage, on `look` lessons alone."""
    answer_steps: int
    """Steps after those on `answer` lessons alone."""
    steps: int
    """All steps of the second stage: lessons."""
    batch: int = 32
    vision_batch: int = 64
    learning_rate: float = 2e-3
    warmup: int = 150
    weight_decay: float = 0.05


RECIPES: dict[str, Recipe] = {
    "base": Recipe(
        name="base",
        size=BASE,
        tasks={
            "look": 0.05,
            "answer": 0.5,
            "reanswer": 0.16,
            "voter": 0.13,
            "critic": 0.13,
            "planner": 0.03,
        },
        grades={1: 1.0},
        vision_grades={1: 1.0},
        slips=0.02,
        noised=0.0,
        vision_steps=400,
        look_steps=304,
        answer_steps=656,
        steps=2200,
    ),
    "expert": Recipe(
        name="expert",
        size=EXPERT,
        tasks={
            "look": 0.06,
            "answer": 0.42,
            "reanswer": 0.02,
            "voter": 0.22,
            "critic": 0.25,
            "planner": 0.03,
        },
        grades={1: 0.3, 2: 0.35, 3: 0.35},
        vision_grades={1: 0.4, 2: 0.3, 3: 0.3},
        slips=0.0,
        noised=0.15,
        vision_steps=500,
        look_steps=304,
        answer_steps=600,
        steps=2400,
    ),
}
