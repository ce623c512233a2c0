"""An image's bytes to pixels, exactly as Pillow has them. Knows neither HTTP nor models."""
