"""What the doctor looks at: one part of the system a file."""
