"""Carrying instances along with the motion of the picture, where inference did not run."""
