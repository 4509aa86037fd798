"""Training of the refiner, which draws a mask's edge to where the object ends."""
