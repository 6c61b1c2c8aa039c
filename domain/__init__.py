"""What is true: events, the rules that lead to them, task graphs. No input, output, clock or randomness."""
