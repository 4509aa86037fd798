"""What photos and animations hold in their files, and how they are to be seen."""
