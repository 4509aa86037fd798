"""What is asked for, by a file or by a program, made a plan that a run can follow."""
