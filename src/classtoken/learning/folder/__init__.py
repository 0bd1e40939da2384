"""What training leaves behind: the folder, its record and its card."""
