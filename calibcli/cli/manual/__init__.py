"""What a shell shows of the program: its manual page, and completion of the names of columns."""
