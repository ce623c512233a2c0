"""What a process that answers is made of: worker threads, admission, memory and what the machine grants."""
