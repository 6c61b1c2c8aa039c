"""Independent consumers that plan and carry out tasks: the kit, the planners, the workers."""
