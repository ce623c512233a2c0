"""The folder that predictions wait in until they are shipped: its files, its locks, its writer."""
