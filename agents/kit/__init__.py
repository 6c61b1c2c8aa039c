"""What turns an ``Agent`` into a running consumer: takes work, reports, shows that it lives."""
