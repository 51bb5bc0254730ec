"""Estimators: what is known of scikit-learn's, by class name: search spaces, good settings, and which cannot work here."""

from __future__ import annotations

from tasks.records import Hyperparameters
from tasks.spaces import Categorical, Float, Int, Space

C: Space = {"C": Float(low=1e-3, high=100.0, log=True, default=1.0)}
ALPHA: Space = {"alpha": Float(low=1e-4, high=100.0, log=True, default=1.0)}
NEIGHBORS: Space = {
    "n_neighbors": Int(low=1, high=50, log=True, default=5),
    "weights": Categorical(choices=("uniform", "distance"), default="uniform"),
}
FOREST: Space = {
    "n_estimators": Int(low=50, high=400, log=True, default=100),
    "max_features": Float(low=0.1, high=1.0, default=0.5),
    "min_samples_leaf": Int(low=1, high=50, log=True, default=1),
}
BOOSTING: Space = {
    "learning_rate": Float(low=0.02, high=0.3, log=True, default=0.1),
    "max_leaf_nodes": Int(low=7, high=127, log=True, default=31),
    "min_samples_leaf": Int(low=5, high=200, log=True, default=20),
    "l2_regularization": Float(low=1e-3, high=30.0, log=True, default=1e-3),
}
SPACES: dict[str, Space] = {
    **dict.fromkeys(("LogisticRegression", "LinearSVC", "LinearSVR", "SVC", "SVR"), C),
    **dict.fromkeys(("Ridge", "RidgeClassifier", "Lasso"), ALPHA),
    "ElasticNet": {**ALPHA, "l1_ratio": Float(low=0.0, high=1.0, default=0.5)},
    **dict.fromkeys(("KNeighborsClassifier", "KNeighborsRegressor"), NEIGHBORS),
    **dict.fromkeys(("RandomForestClassifier", "RandomForestRegressor", "ExtraTreesClassifier", "ExtraTreesRegressor"), FOREST),
    **dict.fromkeys(("HistGradientBoostingClassifier", "HistGradientBoostingRegressor"), BOOSTING),
}
UNFIT = {
    **dict.fromkeys(("CategoricalNB", "ComplementNB", "MultinomialNB"), "reads counts, and scaled numbers are below zero too"),
    **dict.fromkeys(("MultiTaskElasticNet", "MultiTaskElasticNetCV", "MultiTaskLasso", "MultiTaskLassoCV"), "predicts several targets"),
    **dict.fromkeys(("CCA", "PLSCanonical"), "predicts several targets"),
    **dict.fromkeys(("LabelPropagation", "LabelSpreading"), "learns from rows without a label, which are left out here"),
    "IsotonicRegression": "reads a single feature",
    **dict.fromkeys(
        ("PassiveAggressiveClassifier", "PassiveAggressiveRegressor"), "goes out with scikit-learn 1.10; SGD with eta0 does the same"
    ),
    "SelfTrainingClassifier": "wraps another estimator, which a config cannot name",
}
"""Estimators that cannot work here -> why."""
FORESTS: tuple[Hyperparameters, ...] = (
    {"n_estimators": 200, "max_features": 0.3, "min_samples_leaf": 5},
    {"n_estimators": 200, "max_features": 0.6, "min_samples_leaf": 20},
    {"n_estimators": 300, "max_features": 0.2, "min_samples_leaf": 1},
)
PORTFOLIOS: dict[str, tuple[Hyperparameters, ...]] = {
    **dict.fromkeys(("RandomForestClassifier", "RandomForestRegressor", "ExtraTreesClassifier", "ExtraTreesRegressor"), FORESTS),
    **dict.fromkeys(
        ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor"),
        (
            {"learning_rate": 0.1, "max_leaf_nodes": 15, "min_samples_leaf": 50, "l2_regularization": 1.0},
            {"learning_rate": 0.05, "max_leaf_nodes": 63, "min_samples_leaf": 100, "l2_regularization": 5.0},
            {"learning_rate": 0.2, "max_leaf_nodes": 7, "min_samples_leaf": 20, "l2_regularization": 0.1},
        ),
    ),
}
"""Good on other tables and unlike each other; the rest of the space stays at its defaults."""
LOSSES = {"absolute_error": "mae", "poisson": "poisson_deviance"}
"""What scikit-learn calls a regression's loss or criterion -> the metric that it is best at."""
