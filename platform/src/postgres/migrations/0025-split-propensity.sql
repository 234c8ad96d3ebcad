-- How likely it was that this version answered: its share of the split of a canary, an A/B test or a bandit, else 1. What is estimated from
-- answers of a split is weighed by it.
ALTER TABLE prediction ADD COLUMN propensity double precision NOT NULL DEFAULT 1;
