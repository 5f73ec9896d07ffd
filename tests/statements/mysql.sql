SELECT name FROM shop.customers WHERE id = 7
SELECT o.id, c.name FROM orders o JOIN crm.customers c ON c.id = o.customer
SELECT * FROM `Order Items`
SELECT /*!40001 SQL_NO_CACHE */ * FROM `customers`
SELECT * FROM customers INTO OUTFILE '/tmp/c.csv'
SELECT * INTO DUMPFILE '/tmp/c.bin' FROM customers
INSERT INTO orders VALUES (1)
INSERT INTO archive SELECT * FROM orders
REPLACE INTO orders VALUES (1)
UPDATE orders, customers SET orders.n = 1 WHERE orders.customer = customers.id
DELETE FROM orders WHERE id = 1
TRUNCATE TABLE orders
LOAD DATA INFILE '/tmp/c.csv' INTO TABLE customers
LOAD DATA LOCAL INFILE 'c.csv' INTO TABLE customers
CALL close_month(7)
USE crm
GRANT SELECT, INSERT ON shop.* TO 'app'@'10.%'
GRANT ALL PRIVILEGES ON *.* TO 'root2'@'%' WITH GRANT OPTION
GRANT SELECT (name) ON shop.customers TO 'app'@'%'
GRANT dba TO 'alice'@'%'
REVOKE INSERT ON shop.customers FROM 'app'@'%'
REVOKE ALL PRIVILEGES, GRANT OPTION FROM 'app'@'%'
CREATE USER 'bob'@'%' IDENTIFIED BY 'x'
ALTER USER 'bob'@'%' ACCOUNT LOCK
ALTER USER 'bob'@'%' IDENTIFIED BY 'y'
RENAME USER 'bob'@'%' TO 'bob2'@'%'
DROP USER 'bob'@'%'
CREATE ROLE reporting
SET ROLE reporting
SET DEFAULT ROLE reporting TO 'bob'@'%'
SET PASSWORD FOR 'bob'@'%' = 'z'
UPDATE mysql.user SET Super_priv = 'Y' WHERE User = 'bob'
INSERT INTO mysql.db VALUES ()
FLUSH PRIVILEGES
SET GLOBAL server_audit_logging = OFF
SET GLOBAL server_audit_events = 'CONNECT'
SET GLOBAL server_audit_excl_users = 'root'
SET GLOBAL server_audit_logging = ON
SET GLOBAL general_log = 'OFF'
SET GLOBAL audit_log_policy = 'NONE'
SET sql_log_off = 1
SET SESSION sql_log_bin = 0
SET GLOBAL max_connections = 500
SET PERSIST max_connections = 500
SET NAMES utf8mb4
SET @x = 1
UNINSTALL PLUGIN server_audit
UNINSTALL SONAME 'server_audit'
INSTALL SONAME 'server_audit'
INSTALL PLUGIN blackhole SONAME 'ha_blackhole.so'
SELECT audit_log_filter_remove_user('bob@%')
DELETE FROM mysql.audit_log_user
CREATE DATABASE crm
DROP DATABASE crm
CREATE TABLE invoices (id int)
CREATE TEMPORARY TABLE scratch (id int)
CREATE TABLE copy_of LIKE customers
ALTER TABLE customers ADD COLUMN note text
RENAME TABLE customers TO clients
DROP TABLE customers
CREATE INDEX by_name ON customers (name)
CREATE VIEW v AS SELECT * FROM customers
CREATE PROCEDURE p() SELECT 1
CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO DELETE FROM orders
CREATE TRIGGER t BEFORE INSERT ON orders FOR EACH ROW SET NEW.n = 1
SHOW GRANTS FOR 'bob'@'%'
SHOW TABLES
DESCRIBE customers
EXPLAIN SELECT * FROM customers
START TRANSACTION
COMMIT
LOCK TABLES orders WRITE
KILL 7
SHUTDOWN
CHANGE MASTER TO MASTER_HOST = 'x'
PURGE BINARY LOGS BEFORE '2026-01-01'
