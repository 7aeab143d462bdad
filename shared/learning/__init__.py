"""Floor 1: features to probabilities: encoder, model, learner, exploration, artifact."""
