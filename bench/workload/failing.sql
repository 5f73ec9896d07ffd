\set n random(1, 1000)
SELECT 1 / (:n - :n) AS "zero, divided";
