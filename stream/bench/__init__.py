"""Measurements of the program itself, for `stream bench`; timings are never taken in tests."""
