"""Five invented tables of counts."""

import pandas as pd

# Five invented tables for tests only; the expected values beside the assertions were made by an
# independent program.
FIVE = pd.DataFrame(
    {
        "study": ["S1", "S2", "S3", "S4", "S5"],
        "year": [1997, 2020, 2007, 2002, 2019],
        "events_t": [73, 6, 13, 6, 12],
        "n_t": [111, 17, 26, 35, 27],
        "events_c": [24, 3, 6, 2, 0],
        "n_c": [100, 23, 27, 35, 28],
    }
)
