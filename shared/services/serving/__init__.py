"""What an application calls, and what it is answered with: Rank, Reward, Activate, batches, and the models that answer."""
