SELECT name FROM shop.dbo.customers
UPDATE [dbo].[Order Items] SET n = 1
GRANT SELECT ON dbo.customers TO reporting
DENY DELETE ON dbo.customers TO app
GRANT UNMASK TO reporting
CREATE LOGIN bob WITH PASSWORD = 'x'
ALTER SERVER ROLE sysadmin ADD MEMBER bob
ALTER SERVER AUDIT all_of_it WITH (STATE = OFF)
DROP SERVER AUDIT all_of_it
BACKUP DATABASE shop TO DISK = 'x.bak'
EXEC sp_configure 'xp_cmdshell', 1
CREATE TABLE dbo.invoices (id int)
