"""What a run needs, checked before it is needed: the store, the signing key, the machine.

Each module checks one thing and yields `Finding`s; none writes anything but the probe that shows
whether the store takes writes.
"""
