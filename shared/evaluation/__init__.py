"""What a policy would have earned: estimators, intervals, and the sums of logged rounds that they are made from."""
