"""The upper bounds of all histograms, in seconds."""

HTTP_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
TASK_SECONDS = (*HTTP_SECONDS, 30, 60, 120, 300, 600, 1200, 1800, 3600)
RPC_SECONDS = (
    0.001,
    0.005,
    0.01,
    0.05,
    0.1,
    0.5,
    1,
    10,
    60,
    600,
    3600,
)  # few: times methods, codes
