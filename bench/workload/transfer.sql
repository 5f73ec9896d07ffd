\set aid random(1, 500000)
\set bid random(1, 5)
\set delta random(-5000, 5000)
\set who random(1, 1000000)
SELECT a.aid,
       a.abalance,
       b.bbalance AS "branch ""balance""",
       'it''s a ''quoted'' text, with commas, and "double quotes"' AS note
  FROM pgbench_accounts a
  JOIN pgbench_branches b USING (bid)
 WHERE a.aid = :aid
   AND b.bid >= 0
 ORDER BY 1, 2;
BEGIN;
UPDATE pgbench_accounts
   SET abalance = abalance + :delta,
       filler = 'note: "adjusted", by app; card=4111-1111-1111-1111, email=alice+:aid@example.com'
 WHERE aid = :aid;
INSERT INTO audit_notes (who, body, at)
VALUES ('user_:who', 'line one
line two, "quoted" and ''single''
	a tab before this line; ünïcödé ✓ 日本語', now());
END;
SELECT count(*), string_agg(body, ',') FROM (SELECT body FROM audit_notes ORDER BY at DESC LIMIT 5) latest;
