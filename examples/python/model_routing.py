"""Prompts routed to language models, in the application's own process: quality minus cost minus waiting, beside one model for all."""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass

from open_personalizer import Action, Personalizer, PersonalizerError

from examples.python.stage import Curve, Stage, stage

MODELS = [
    Action("cheap", {"model": {"size": "small", "price": 0.1}}),
    Action("balanced", {"model": {"size": "medium", "price": 0.5}}),
    Action("strong", {"model": {"size": "large", "price": 2.0}}),
]
NEEDS = {"chat": 0.1, "summary": 0.3, "translation": 0.4, "code": 0.7, "maths": 0.9}
LENGTHS = {"short": 0.2, "medium": 0.5, "long": 1.0}
LANGUAGES = {"en": 0.0, "de": 0.1, "sw": 0.3}
SKILL = {"cheap": 0.35, "balanced": 0.65, "strong": 1.0}
PRICE = {"cheap": 0.02, "balanced": 0.1, "strong": 0.35}
SECONDS = {"cheap": 0.05, "balanced": 0.1, "strong": 0.3}
NOISE = 0.1


@dataclass(frozen=True, slots=True)
class Prompt:
    """What somebody asks; how well each model answers it, no application can know before."""

    task: str
    length: str
    language: str
    urgent: bool

    @property
    def context(self) -> dict[str, object]:
        """What the application knows of it."""
        return {"prompt": {"task": self.task, "length": self.length, "language": self.language, "urgent": self.urgent}}

    def worth(self, model: str) -> float:
        """Give the mean of quality − cost − waiting: a model that is not good enough for a prompt fails it more often."""
        lacks = max(NEEDS[self.task] + LANGUAGES[self.language] - SKILL[model], 0.0)
        quality = max(0.9 - 2.0 * lacks, 0.0)
        return quality - PRICE[model] * (0.5 + LENGTHS[self.length]) - (SECONDS[model] if self.urgent else 0.0)


def main() -> None:
    """Route the prompts and print the learning curve."""
    with stage(__doc__) as loop, connect(loop) as personalizer:
        personalizer.wait_until_ready(10.0)
        curve, chance, alone = Curve(loop), random.Random(loop.seed), {model.id: 0.0 for model in MODELS}
        for prompt in prompts(loop):
            model, event_id = choose(personalizer, prompt)
            reward = min(max(prompt.worth(model) + chance.gauss(0.0, NOISE), -1.0), 1.0)
            tell(personalizer, event_id, reward)
            worths = [prompt.worth(each) for each in alone]
            alone = {each: total + worth for (each, total), worth in zip(alone.items(), worths, strict=True)}
            curve.count(reward, blind=sum(worths) / len(worths), best=max(worths))
        curve.tell()
        told = ", ".join(f"{each} {total / loop.count:.3f}" for each, total in alone.items())
        print(f"One model for all prompts would have earned: {told}.", flush=True)


def connect(loop: Stage) -> Personalizer:
    """Open a client. An application keeps the default promise, which survives its end; this one is gone with its visitors."""
    return Personalizer(loop.endpoint, loop.key, promise="memory", poll_seconds=0.5)


def choose(personalizer: Personalizer, prompt: Prompt) -> tuple[str, str | None]:
    """Give the model to ask, and the event to reward; the balanced one if that fails."""
    try:
        answer = personalizer.rank(prompt.context, MODELS)
    except PersonalizerError as error:
        print(f"Rank: {error}")
        return "balanced", None
    return answer.reward_action_id, answer.event_id


def tell(personalizer: Personalizer, event_id: str | None, reward: float) -> None:
    """Report how good the answer was for its price and its time."""
    if event_id is None:
        return
    try:
        personalizer.reward(event_id, reward)
    except PersonalizerError as error:
        print(f"Reward: {error}")


def prompts(loop: Stage) -> Iterator[Prompt]:
    """Let prompts come at a steady pace."""
    chance, began = random.Random(loop.seed + 1), time.monotonic()
    for number in range(loop.count):
        time.sleep(max(began + number * loop.seconds / loop.count - time.monotonic(), 0.0))
        task, length = chance.choice(list(NEEDS)), chance.choice(list(LENGTHS))
        yield Prompt(task, length, chance.choice(list(LANGUAGES)), chance.random() < 0.4)


if __name__ == "__main__":
    main()
