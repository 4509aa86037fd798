"""Live runs: the newest picture wins, and inference works beside the display."""
