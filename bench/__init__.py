"""Benchmarks of the daemon beside other FTP servers in front of S3; docs/benchmarks.md. Run by hand: bench/run.sh."""
