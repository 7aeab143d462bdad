"""How parts are put together on real storage: a module for each folder of `shared.services`, and a function for each part.

What Rank, Reward and Activate do not need is imported in the function that builds it, so that a process which never trains or evaluates
never loads it.
"""
