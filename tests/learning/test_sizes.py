"""What is counted of what was learned is what it takes, or a little more."""

import tracemalloc

import numpy as np

from shared.learning import artifact
from shared.learning.learner import Learner
from shared.learning.sizes import bytes_in
from tests.learning.building import many_crosses, random_batch


def test_what_a_learner_and_its_model_take_is_counted():
    for batch in (random_batch(1, 60), many_crosses(2, 150)):
        learner = Learner.cold()
        learner.learn(batch)
        data = artifact.dump_state(learner), artifact.dump_model(learner)
        for load, text in zip((artifact.load_learner, artifact.load_model), data, strict=True):
            load(text)  # what is made once for all is there
            tracemalloc.start()
            loaded = load(text)
            taken = tracemalloc.get_traced_memory()[0]
            tracemalloc.stop()
            assert 0.9 * taken < bytes_in(loaded) < 1.2 * taken + 10_000


def test_what_is_shared_counts_once_and_a_part_of_an_array_as_all_of_it():
    whole = np.zeros(1_000)
    assert bytes_in(whole, whole[:10], {"a": whole}) == 8_100
    assert bytes_in(whole[:10]) == 8_000
    assert bytes_in(None, "text", 5) == 0
