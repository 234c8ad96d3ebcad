-- The same number, without a conversion through text for each row, which took about a tenth of the time of storing it.
ALTER TABLE prediction ALTER COLUMN ingested SET DEFAULT txid_current();
