"""What the screen means, without widgets or Qt."""
