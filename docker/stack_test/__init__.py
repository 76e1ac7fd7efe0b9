"""The parts of docker/stack-test."""
