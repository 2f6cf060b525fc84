"""What people watch: the live page, and dashboards for other programs."""
