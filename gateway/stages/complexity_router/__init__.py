"""Which tier a request needs: features, rules, a gain model; thresholds that fit a target."""
