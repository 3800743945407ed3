"""The command line."""

import os

# Replicas are started as new programs; gRPC's support of forks only warns of that. It reads this
# when it is imported.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
