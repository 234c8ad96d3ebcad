-- Tells open pages what has changed: one notice for each statement, named by the table. Equal notices of one transaction are
-- sent once. Readers ask for the rest through the control API.
CREATE FUNCTION notify_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('hotloop_change', TG_TABLE_NAME);
  RETURN NULL;
END
$$;
CREATE TRIGGER model_notice AFTER INSERT OR UPDATE OR DELETE ON model
  FOR EACH STATEMENT EXECUTE FUNCTION notify_change();
CREATE TRIGGER model_version_notice AFTER INSERT OR UPDATE OR DELETE ON model_version
  FOR EACH STATEMENT EXECUTE FUNCTION notify_change();
CREATE TRIGGER training_run_notice AFTER INSERT OR UPDATE OR DELETE ON training_run
  FOR EACH STATEMENT EXECUTE FUNCTION notify_change();
CREATE TRIGGER ledger_notice AFTER INSERT ON ledger
  FOR EACH STATEMENT EXECUTE FUNCTION notify_change();
CREATE TRIGGER rollout_notice AFTER INSERT OR UPDATE OR DELETE ON rollout
  FOR EACH STATEMENT EXECUTE FUNCTION notify_change();
