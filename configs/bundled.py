"""Sources of the small examples: tables that scikit-learn ships."""

from __future__ import annotations

import pandas as pd


def digits() -> pd.DataFrame:
    """1,797 images of 8 x 8 pixels (0 to 16 each) and the digit they show."""
    from sklearn.datasets import load_digits

    found = load_digits(as_frame=True)
    table: pd.DataFrame = pd.concat([found.data, found.target.rename("digit")], axis=1)
    return table


def diabetes() -> pd.DataFrame:
    """442 patients: ten measures and the progression of the disease a year later."""
    from sklearn.datasets import load_diabetes

    found = load_diabetes(as_frame=True, scaled=False)
    table: pd.DataFrame = pd.concat([found.data, found.target.rename("progression")], axis=1)
    return table
