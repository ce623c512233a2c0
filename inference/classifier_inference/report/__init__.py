"""What goes wrong, and how it is said: to the kubelet, to the operator, to a person."""
