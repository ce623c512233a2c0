"""The process beside a server that ships what its spool holds."""
