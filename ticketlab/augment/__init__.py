"""What is done to the images before a network sees them."""
