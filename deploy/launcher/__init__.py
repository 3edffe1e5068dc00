"""Gets, starts, watches and stops Kafka, PostgreSQL and the product's own processes on one machine.

Parts, from the ground up: `layout` (where everything lies), `state` (what runs, recognised by pid and birth),
`process` (one child process), `artifacts` and `java` (what must be fetched, with its checksums), `postgres` and
`kafka` (the two servers), `topics`, `servers` (both servers for a test session), `programs` (the product's
processes and their environment), `supervisor` (all of it, in order, until told to stop).
"""
