"""Users of RabbitMQ and what each may do, as data for its definitions file."""
