"""Painting instances into pictures, in their own YUV planes."""
