"""What is done to the workers, the broker, HSS and the network, and in which order: drawn from the seed."""
import random

# Actions for each SIGKILL of a worker.
SHARES = {"term": 0.2, "stop": 0.12, "join": 0.12, "hss": 0.25, "cut-kafka": 0.1, "cut-hss": 0.1, "slow-kafka": 0.06,
          "slow-hss": 0.06, "hole-kafka": 0.06, "hole-hss": 0.06}
# After these an owner may be cut off from the group while it runs, which is the one way to a second result.
CUTS_OFF = {"stop", "hole-kafka"}

FAULTS = ["503:rate=0.3", "reset:rate=0.2", "lost:rate=0.2", "slow=2s:rate=0.3", "slow=6s:rate=0.05", "hang:rate=0.03",
          "html:rate=0.2", "HSS.1006:rate=0.2", "500:rate=0.2", "lost:every=3", "503:rate=0.5,api=status"]


def plan(kills, broker_kills, seed, only=None):
    """The actions in order, each with whether the group is left to work again before the next one."""
    chance = random.Random(seed)
    actions = ["kill"] * kills + ["kill-broker"] * broker_kills
    for name, share in SHARES.items():
        actions += [name] * max(1, round(kills * share))
    if only:
        actions = [name for name in actions if name in only]
    chance.shuffle(actions)
    return [(name, chance.random() < 0.6) for name in actions]
