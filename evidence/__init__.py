"""The evidence room: what the clouds answered, kept so that anyone can check it.

Captures (one API exchange each) go into append-only segments, typed rows into tables, and a
signed manifest binds every byte. This package imports none of the others.
"""
