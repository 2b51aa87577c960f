"""Asking systems for what is new: each kind of source fetches it as files, which the readers then load like any others.

A pull is three steps: fetch into a spool folder, load that folder, remember where to go on (the cursor). Killed between
any two, the next pull loads what lies in the spool, or fetches it again; landing rows are told apart by their digests, so
nothing lands twice and nothing is lost.
"""
