"""One scenario a module: how an application calls Rank and Reward through the official SDK, and what it gains."""
