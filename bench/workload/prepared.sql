\set aid random(1, 500000)
SELECT abalance, 'x' || :aid::text AS label FROM pgbench_accounts WHERE aid = :aid AND filler <> 'nobody, "here"';
