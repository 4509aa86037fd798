"""Readers of checkpoints: names and numbers from files of other systems, without those systems.

A checkpoint from the net must not run code here: pickles go through an allow-list, torch files
through torch's own restricted loader.
"""
