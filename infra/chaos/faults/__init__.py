"""What can be broken, and how: each breaks something, undoes it, and says whether it fired."""
