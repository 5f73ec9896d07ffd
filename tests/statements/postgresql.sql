SELECT name FROM shop.customers WHERE id = 7
SELECT o.id, c.name FROM orders o JOIN customers c ON c.id = o.customer
WITH late AS (SELECT * FROM orders WHERE due < now()) SELECT count(*) FROM late
SELECT count(*) FROM (SELECT 1 FROM "Order Items") x
SELECT 1
TABLE customers
VALUES (1), (2)
SELECT * INTO backup_of_customers FROM customers
INSERT INTO orders (id) VALUES (1)
INSERT INTO archive SELECT * FROM orders
UPDATE customers SET name = 'x' FROM orders WHERE orders.customer = customers.id
DELETE FROM orders USING customers WHERE orders.customer = customers.id
MERGE INTO stock s USING delivery d ON s.id = d.id WHEN MATCHED THEN UPDATE SET n = d.n
TRUNCATE orders, order_items
EXPLAIN SELECT * FROM orders
EXPLAIN ANALYZE DELETE FROM orders
PREPARE p AS SELECT * FROM orders
EXECUTE p(1)
DECLARE c CURSOR FOR SELECT * FROM orders
FETCH 10 FROM c
CALL close_month(7)
DO $$ BEGIN PERFORM 1; END $$
COPY customers TO STDOUT
COPY customers TO '/tmp/customers.csv' CSV HEADER
COPY (SELECT * FROM customers) TO PROGRAM 'gzip > /tmp/c.gz'
COPY customers FROM STDIN
COPY customers FROM PROGRAM 'curl https://example.org/c.csv'
GRANT SELECT, INSERT (name) ON customers TO reporting WITH GRANT OPTION
GRANT ALL ON ALL TABLES IN SCHEMA shop TO reporting
GRANT USAGE ON SCHEMA shop TO PUBLIC
GRANT CONNECT ON DATABASE shop TO reporting
GRANT dba TO alice WITH ADMIN OPTION
REVOKE UPDATE ON customers FROM reporting CASCADE
REVOKE dba FROM alice
ALTER DEFAULT PRIVILEGES FOR ROLE app IN SCHEMA shop GRANT SELECT ON TABLES TO reporting
CREATE ROLE alice LOGIN PASSWORD 'x'
CREATE ROLE contractor LOGIN VALID UNTIL '2027-01-01'
CREATE ROLE root2 SUPERUSER LOGIN VALID UNTIL '2027-01-01'
CREATE USER bob
ALTER ROLE alice SUPERUSER
ALTER ROLE alice VALID UNTIL '2027-01-01'
ALTER ROLE alice PASSWORD 'y'
ALTER ROLE alice RENAME TO alice2
ALTER ROLE alice SET search_path = shop
ALTER ROLE alice SET pgaudit.log = 'none'
DROP ROLE alice
REASSIGN OWNED BY alice TO bob
DROP OWNED BY alice
SET ROLE dba
RESET ROLE
SET SESSION AUTHORIZATION bob
ALTER TABLE customers OWNER TO bob
CREATE POLICY own_rows ON customers USING (owner = current_user)
ALTER POLICY own_rows ON customers USING (true)
DROP POLICY own_rows ON customers
ALTER TABLE customers ENABLE ROW LEVEL SECURITY
ALTER TABLE customers DISABLE ROW LEVEL SECURITY
SECURITY LABEL FOR anon ON COLUMN customers.name IS 'MASKED WITH FUNCTION anon.fake_last_name()'
SECURITY LABEL FOR anon ON COLUMN customers.name IS NULL
SET row_security = off
SET session_replication_role = replica
SET work_mem = '64MB'
SET LOCAL search_path TO shop
SELECT set_config('pgaudit.log', 'none', false)
SET pgaudit.log = 'none'
SET pgaudit.log = 'all'
SET log_statement = 'none'
ALTER SYSTEM SET log_connections = off
ALTER SYSTEM SET work_mem = '64MB'
ALTER SYSTEM RESET ALL
ALTER DATABASE shop SET pgaudit.log = 'read'
ALTER DATABASE shop SET work_mem = '64MB'
DROP EXTENSION pgaudit
CREATE EXTENSION pgaudit
CREATE EXTENSION pgcrypto
SHOW pgaudit.log
BEGIN
COMMIT
ROLLBACK TO SAVEPOINT s
SET TRANSACTION ISOLATION LEVEL SERIALIZABLE
CREATE TABLE invoices (id int)
CREATE TEMP TABLE scratch (id int)
CREATE TABLE copy_of AS SELECT * FROM customers
CREATE INDEX ON customers (name)
CREATE INDEX by_name ON shop.customers (name)
CREATE VIEW v AS SELECT * FROM customers
CREATE MATERIALIZED VIEW m AS SELECT * FROM customers
REFRESH MATERIALIZED VIEW m
CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'
CREATE TRIGGER t AFTER INSERT ON orders EXECUTE FUNCTION f()
ALTER TABLE customers ADD COLUMN note text
ALTER TABLE customers DISABLE TRIGGER ALL
ALTER TABLE customers RENAME TO clients
DROP TABLE customers CASCADE
CREATE SCHEMA sales
DROP SCHEMA sales CASCADE
CREATE DATABASE shop2
DROP DATABASE shop2
COMMENT ON TABLE customers IS 'x'
CREATE PUBLICATION p FOR TABLE customers
CREATE SUBSCRIPTION s CONNECTION 'host=x' PUBLICATION p
CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw
CREATE USER MAPPING FOR alice SERVER far
IMPORT FOREIGN SCHEMA public FROM SERVER far INTO shop
LOCK TABLE orders
VACUUM customers
REINDEX TABLE customers
CHECKPOINT
DISCARD ALL
LISTEN orders
UPDATE pg_authid SET rolsuper = true
SELECT 1; DROP TABLE customers
SELEC 1
