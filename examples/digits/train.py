# SPDX-License-Identifier: Apache-2.0
"""Train the classifier: `python3 train.py MODEL`, once, when the image is built."""

import sys

import joblib
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier

features, digits = load_digits(return_X_y=True)
model = RandomForestClassifier(200, random_state=1).fit(features[:1200], digits[:1200])
joblib.dump(model, sys.argv[1])
