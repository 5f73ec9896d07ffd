CREATE ROLE alice LOGIN PASSWORD '«»' VALID UNTIL '2030-01-01'
create role alice login encrypted password '«»' connection limit 5
CREATE ROLE alice PASSWORD $$«»$$ LOGIN
CREATE ROLE alice PASSWORD $x$«»$x$ LOGIN
CREATE USER alice WITH SUPERUSER PASSWORD '«»'
CREATE USER alice PASSWORD'«»'
CREATE GROUP g WITH PASSWORD '«»'
ALTER ROLE alice WITH PASSWORD E'«»' CREATEDB
ALTER ROLE alice PASSWORD U&'«»'
ALTER USER alice UNENCRYPTED PASSWORD '«»'
ALTER ROLE "al ice" PASSWORD '«»' IN ROLE x
ALTER GROUP g PASSWORD '«»'
ALTER ROLE alice PASSWORD /* new */ '«»'
ALTER ROLE alice PASSWORD -- new\n '«»'
ALTER ROLE alice PASSWORD\n\t'«»'
ALTER ROLE alice PASSWORD '«»'\n '«»'
ALTER ROLE alice PASSWORD ‹›
ALTER ROLE alice PASSWORD ‹› VALID UNTIL 'infinity'
ALTER ROLE alice PASSWORD "«»"
ALTER ROLE alice PASWORD '«»'
ALTER ROLE alice PASSWROD '«»'
ALTER ROLE alice PASSWORD = '«»'
ALTER ROLE alice PASSWORD = ‹›
ALTER ROLE alice PASSWORD '«»
ALTER ROLE alice PASSWORD $$«»
ALTER ROLE alice PASSWORD '«»' LOGIN LOGIN LOGIN (
ALTER ROL alice PASSWORD '«»'
ALTER ROLE alice SET search_path = a; ALTER ROLE bob PASSWORD '«»'; SELECT 1
CREATE ROLE a PASSWORD '«»'; CREATE ROLE b PASSWORD '«»'; SELECT 'fine'
CREATE ROLE a PASSWORD '«SCRAM-SHA-256$4096:QUJDREVGR0hJSktMTU5PUA==$c3RvcmVka2V5c3RvcmVka2V5:c2VydmVya2V5»'
CREATE ROLE a PASSWORD '«md55f4dcc3b5aa765d61d8327deb882cf99»'
UPDATE pg_authid SET rolpassword = '«»' WHERE rolname = 'a'
UPDATE pg_catalog.pg_authid SET x = '«md55f4dcc3b5aa765d61d8327deb882cf99»'
DO $$ BEGIN EXECUTE 'CREATE ROLE a PASSWORD ''«»'' LOGIN'; END $$
DO $$ BEGIN CREATE ROLE a PASSWORD '«»'; END $$
DO 'BEGIN EXECUTE ''CREATE ROLE a PASSWORD ''''«»'''' LOGIN''; END'
DO $do$ BEGIN EXECUTE $x$ALTER ROLE a PASSWORD '«»'$x$; END $do$
DO $$ BEGIN EXECUTE format('CREATE ROLE %I PASSWORD %L', v, '«»'); END $$
DO $$ BEGIN EXECUTE format($f$CREATE ROLE %I PASSWORD '%s'$f$, v, '«»'); END $$
DO $$ BEGIN EXECUTE 'CREATE ROLE a PASSWORD ' || quote_literal('«»'); END $$
DO $$ BEGIN PERFORM dblink_connect('host=h password=«» user=u'); END $$
DO $$ DECLARE password text := '«»'; BEGIN NULL; END $$
DO LANGUAGE plpgsql $$ BEGIN RAISE NOTICE 'x'; ALTER USER b PASSWORD '«»'; END $$
CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$ ALTER ROLE a PASSWORD '«»' $$
CREATE FUNCTION f() RETURNS text LANGUAGE sql AS 'SELECT pgp_sym_encrypt(''x'', ''«»'')'
CREATE PROCEDURE p() LANGUAGE plpgsql AS $body$ BEGIN EXECUTE 'ALTER ROLE a PASSWORD ''«»'''; END $body$
SELECT format('ALTER ROLE %I PASSWORD %L', rolname, '«»') FROM pg_roles
EXECUTE s('ALTER ROLE a PASSWORD ''«»''')
PREPARE s AS ALTER ROLE a PASSWORD '«»'
CREATE USER MAPPING FOR u SERVER s OPTIONS (user 'bob', password '«»')
CREATE USER MAPPING FOR CURRENT_USER SERVER s OPTIONS ("user" 'bob', "password" '«»')
ALTER USER MAPPING FOR u SERVER s OPTIONS (SET password '«»', ADD sslpassword '«»')
ALTER USER MAPPING FOR u SERVER s OPTIONS (ADD password '«»')
CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'h', dbname 'd', password '«»')
ALTER SERVER s OPTIONS (SET secret_access_key '«»')
CREATE SERVER s FOREIGN DATA WRAPPER s3_fdw OPTIONS (aws_access_key '«»', aws_secret_key '«»')
CREATE FOREIGN TABLE t (a int) SERVER s OPTIONS (table 'x', access_token '«»')
CREATE FOREIGN DATA WRAPPER w OPTIONS (api_key '«»')
CREATE SUBSCRIPTION s CONNECTION 'host=h user=u password=«» dbname=d' PUBLICATION p
CREATE SUBSCRIPTION s CONNECTION 'host=h password=''«»'' user=u' PUBLICATION p
CREATE SUBSCRIPTION s CONNECTION 'postgresql://u:«»@h:5432/d?sslmode=require' PUBLICATION p
CREATE SUBSCRIPTION s CONNECTION 'postgres://u@h/d?password=«»&sslmode=require' PUBLICATION p
ALTER SUBSCRIPTION s CONNECTION 'host=h port=5432 password = «» user=u'
ALTER SUBSCRIPTION s CONNECTION 'password=«»'
ALTER SUBSCRIPTION s CONNECTION 'host=h password=«»
SELECT * FROM dblink('host=h password=«»', 'SELECT 1') AS t(a int)
SELECT dblink_connect('c', 'user=u password=«» host=h')
SELECT dblink_connect_u('postgresql://u:«»@[::1]:5432/d')
SELECT dblink_exec('host=h user=u password=«»', 'ALTER ROLE x PASSWORD ''«»''')
ALTER SYSTEM SET primary_conninfo = 'host=h user=r password=«»'
SET app.secret = '«»'
SET app.api_key TO '«»'
SET SESSION "app.password" = '«»'
SET LOCAL jwt.secret_token = '«»'
SELECT set_config('app.api_key', '«»', false)
SELECT set_config('pgcrypto.passphrase', '«»', true), 1
ALTER DATABASE d SET app.jwt_secret = '«»'
ALTER ROLE r SET app.encryption_key = '«»'
SELECT pgp_sym_encrypt('data', '«»')
SELECT pgp_sym_encrypt(ssn, '«»', 'compress-algo=1, cipher-algo=aes256') FROM people
SELECT pgp_sym_decrypt(ssn::bytea, '«»') FROM people WHERE id = 4
select public.pgp_sym_decrypt_bytea(x, '«»') from t
INSERT INTO t VALUES (1, pgp_sym_encrypt('x', '«»'), 'fine')
UPDATE t SET a = pgp_sym_encrypt(a, '«»') WHERE b = 'fine'
SELECT pgp_pub_decrypt(x, dearmor('«»'), '«»') FROM t
SELECT encrypt('data'::bytea, '«»', 'aes')
SELECT decrypt_iv(x, '«»', 'iv', 'aes') FROM t
SELECT hmac('data', '«»', 'sha256')
SELECT crypt('«»', gen_salt('bf'))
SELECT * FROM users WHERE name = 'fine' AND pw_hash = crypt('«»', pw_hash)
SELECT encode(hmac(payload, '«»', 'sha1'), 'hex') FROM t
SELECT pgp_sym_encrypt('a', ‹12345678›)
UPDATE users SET password = '«»' WHERE id = 4
UPDATE users SET name = 'fine', password='«»', age = 4
UPDATE users SET password = md5('«»') WHERE name = 'fine'
UPDATE users SET password = crypt('«»', gen_salt('bf', 8)) WHERE id = 4
UPDATE users SET password = ‹12345678› WHERE id = 4
UPDATE u SET reset_token = '«»', expires = now()
SELECT * FROM users WHERE name = 'fine' AND password = '«»'
SELECT * FROM users WHERE password::text = '«»'
SELECT * FROM users u WHERE u."password" = '«»'
SELECT * FROM users WHERE password IN ('«»', '«»')
SELECT * FROM users WHERE password IS DISTINCT FROM '«»'
SELECT * FROM users WHERE password <> '«»' OR password != '«»'
DELETE FROM sessions WHERE token = '«»'
SELECT 1 FROM api WHERE api_key = '«»' AND active
INSERT INTO users (name, password) VALUES ('fine', '«»')
INSERT INTO users (name, password, age) VALUES ('fine', '«»', 4), ('fine', '«»', 5)
INSERT INTO public.users AS u (id, api_key) VALUES (4, '«»') RETURNING *
INSERT INTO "Users" ("Name", "PasswordHash") VALUES ('fine', '«»') ON CONFLICT DO NOTHING
INSERT INTO t (a, token) VALUES (1, lower('«»'))
INSERT INTO t VALUES ('{"user":"fine","password":"«»","n":1}'::jsonb)
INSERT INTO t VALUES ('{"user": "fine", "client_secret" : "«»"}')
INSERT INTO t VALUES ('{"password": «12345678», "n": 1}')
SELECT data->>'password' = '«»' FROM t
SELECT * FROM t WHERE data->'auth'->>'token' = '«»'
CREATE TABLE t (id int, password text DEFAULT '«»', n int)
ALTER TABLE t ALTER COLUMN api_key SET DEFAULT '«»'
COPY t FROM PROGRAM 'curl -H "Authorization: Bearer «aGVsbG9Xb3JsZDEyMw»" https://h/x'
COPY t FROM PROGRAM 'curl https://u:«»@h/x'
COPY t TO PROGRAM 'PGPASSWORD=«» psql -h x'
COPY t TO PROGRAM 'aws s3 cp - s3://b/k --secret-key=«»'
COPY t FROM 's3://b/k' WITH (format 'csv', secret_key '«»')
SELECT http_get('https://u:«»@h/x?y=z')
SELECT http((('POST', 'https://h', ARRAY[http_header('Authorization', 'Bearer «aGVsbG9Xb3JsZDEyMw»')], 'text', 'x')))
SELECT net.http_post(url := 'https://h', headers := '{"Authorization": "Basic «dXNlcjpwYXNzd29yZA==»"}'::jsonb)
SELECT net.http_post(url := 'https://h', headers := '{"x-api-key": "«»"}'::jsonb)
SELECT aws_commons.create_aws_credentials('id', '«»', '«»')
SELECT vault.create_secret('«»', 'name', 'desc')
SELECT azure_storage.account_add('acct', '«»')
SELECT '«ghp_abcdefghijklmnopqrstuvwxyz0123456789»'
SELECT 'x', '«AKIAIOSFODNN7EXAMPLE»', 'y'
SELECT '«eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N»'
INSERT INTO keys VALUES ('-----BEGIN RSA PRIVATE KEY-----«\nMIIEpAIBAAKCAQEA7bq\nqqq\n»-----END RSA PRIVATE KEY-----')
INSERT INTO keys VALUES ('-----BEGIN PRIVATE KEY-----«\nMIIEpAIBAAKCAQEA7bq\nqqq»
SELECT '«xoxb-123456789012-abcdefghijkl»', '«sk_live_abcdefghijklmnopqrstuvwx»', '«AIzaSyA1234567890abcdefghijklmnopqrstuv»'
SELECT '«glpat-abcdefghijklmnopqrst»' AS t
SELECT * FROM t WHERE h = '«$2b$12$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZabcde»'
SELECT '«$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$RdescudvJCsgt3ub»'
SELECT '«$6$rounds=5000$saltsalt$abcdefghijklmnopqrstuvwxyzABCDEFGH»'
-- ALTER ROLE x PASSWORD '«»'
SELECT 1 -- password: «»
SELECT 1 /* password=«» */
SELECT 1 /* api_key: "«»" */, 2
/* ALTER ROLE x PASSWORD '«»' */ SELECT 1
SELECT 1 /* /* nested */ token='«»' */
COMMENT ON ROLE a IS 'password=«»'
NOTIFY ch, 'password=«»'
SELECT pg_notify('ch', 'secret=«»')
COPY (SELECT crypt('«»', x)) TO STDOUT
DECLARE c CURSOR FOR SELECT pgp_sym_decrypt(x, '«»') FROM t
EXPLAIN ANALYZE SELECT pgp_sym_decrypt(x, '«»') FROM t
CREATE VIEW v AS SELECT pgp_sym_decrypt(x, '«»') AS y FROM t
WITH x AS (SELECT hmac('a', '«»', 'md5')) SELECT * FROM x
BEGIN; ALTER ROLE a PASSWORD '«»'; COMMIT
SELECT 'my password', 'fine'; ALTER ROLE b PASSWORD '«»'
SELECT 'it''s', "we""ird"; ALTER ROLE b PASSWORD '«»'
MERGE INTO users u USING s ON u.id = s.id WHEN MATCHED THEN UPDATE SET password = '«»'
CALL set_password(user => 'fine', password => '«»')
SELECT login(p_user := 'fine', p_password := '«»')
SELECT * FROM login(username => 'fine', pwd => '«»')
IMPORT FOREIGN SCHEMA s FROM SERVER x INTO y OPTIONS (password '«»')
SELECT lo_import('/x'), dblink('dbname=x user=y password=«»', 'z')
