"""What the container files need: secrets before the first start, health inside, stand-ins for images."""
