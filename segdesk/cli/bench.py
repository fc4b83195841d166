"""`segdesk bench`: this machine's figures."""
