"""What every command starts with: score files or saved statistics to populations."""
