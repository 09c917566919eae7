"""The commands for frames and arrays: data in, typed results out, the numbers of a shell."""
