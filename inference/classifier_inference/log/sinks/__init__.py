"""The stores that the log is shipped to: which of them takes what, and what is said of each."""
