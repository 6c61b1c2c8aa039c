"""What is true: events, the rules that lead to them, task graphs. No I/O, clock or randomness."""
