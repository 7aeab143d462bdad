"""The contract as the project holds it: requests and answers of every operation in every version, and what answers consist of."""
