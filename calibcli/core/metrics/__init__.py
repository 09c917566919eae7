"""What is measured, and how sure of it one can be."""
