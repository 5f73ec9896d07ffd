CREATE TABLE IF NOT EXISTS scratch.t_:client_id (
    id    bigint PRIMARY KEY,
    name  text NOT NULL DEFAULT 'a,b',
    "Odd Col" text
);
GRANT SELECT, INSERT ON scratch.t_:client_id TO app_ro;
REVOKE INSERT ON scratch.t_:client_id FROM app_ro;
ALTER TABLE scratch.t_:client_id ADD COLUMN IF NOT EXISTS added text;
COMMENT ON TABLE scratch.t_:client_id IS 'several
lines of "comment", with, commas';
DROP TABLE scratch.t_:client_id;
SELECT set_config('application_name', 'app-:client_id', false);
DO $$
BEGIN
  PERFORM 1;
END
$$;
