-- TRUNCATE fires no trigger of rows: without this one the whole ledger could be emptied in one statement.
CREATE TRIGGER ledger_kept_whole BEFORE TRUNCATE ON ledger FOR EACH STATEMENT EXECUTE FUNCTION ledger_kept();
