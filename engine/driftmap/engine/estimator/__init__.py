"""AlignedUMAP, a scikit-learn estimator."""
