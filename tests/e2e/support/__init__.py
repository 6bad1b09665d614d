"""Private instances of the real parts that the end-to-end tests put around the filter.

Every instance lives in a temporary folder, listens on loopback ports of its own, is started
from here and is stopped by its process id. Nothing below /etc is used and no service is touched.
"""
