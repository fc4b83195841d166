"""RT Structure Sets: contours in, label maps out, and back."""
