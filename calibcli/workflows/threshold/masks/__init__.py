"""`threshold` of images: masks, by region."""
