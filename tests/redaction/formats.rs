//! Rows of every format that has statements, around a statement.

#![allow(dead_code, reason = "each test takes what it needs")]

use sealtrail::parse::{By, Request, SOURCE, parse_by};
use sealtrail::redact::Redact;
use sealtrail_parsers::Format;
use sealtrail_parsers::postgres_prefix::Prefix;

/// What a row becomes.
pub fn records(format: Format, log: &[u8], record_max_bytes: usize) -> Vec<u8> {
    records_by(By { redact: &Redact::default(), key: None, source: SOURCE }, format, log, record_max_bytes)
}

/// The same with what a configuration takes out.
pub fn records_by(by: By<'_>, format: Format, log: &[u8], record_max_bytes: usize) -> Vec<u8> {
    let prefix = Prefix::compile("%m [%p] %q%u@%d ").unwrap();
    let request = Request {
        path: "planted.log".to_owned(),
        format: Some(format),
        inside: None,
        prefix: matches!(format, Format::PostgresStderr | Format::PostgresSyslog).then(|| prefix.into()),
        timezone: Some("UTC".to_owned()),
        server: "db1".to_owned(),
        record_max_bytes,
    };
    let mut out = Vec::new();
    parse_by(&request, by, &mut &log[..], &mut out).unwrap();
    out
}

pub const WHOLE: usize = 4 << 20;

pub fn csv(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

pub fn json(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

pub fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\n', "&#10;")
}

/// As server_audit escapes.
pub fn audit(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n").replace('\t', "\\t")
}

pub const CSVLOG: &str = "2026-11-20 20:28:31.135 UTC,\"app\",\"appdb\",17085,\"127.0.0.1:53404\",6b00ad70.42bd,3,\"ALTER ROLE\",2026-11-20 20:28:32 UTC,3/1,0,";

/// A row of pgAudit, one of an error, one of the statement log, and one whose context has it.
pub fn csvlog(sql: &str) -> String {
    let audit = csv(&format!("AUDIT: SESSION,1,1,ROLE,ALTER ROLE,,,{},<none>", csv(sql)));
    let logged = csv(&format!("statement: {sql}"));
    let (query, context) =
        (csv(sql), csv(&format!("SQL statement \"{sql}\"\nPL/pgSQL function f() line 1 at EXECUTE")));
    let near = csv(&format!("syntax error at or near \"{}\"", sql.chars().last().unwrap()));
    format!(
        "{CSVLOG}LOG,00000,{audit},,,,,,,,,\"psql\",\"client backend\",,0\n\
         {CSVLOG}ERROR,42601,{near},,,,,,{query},8,,\"psql\",\"client backend\",,0\n\
         {CSVLOG}LOG,00000,{logged},,,,,,,,,\"psql\",\"client backend\",,0\n\
         {CSVLOG}ERROR,42601,\"oops\",,,{query},8,{context},,,,\"psql\",\"client backend\",,0\n"
    )
}

pub fn jsonlog(sql: &str) -> String {
    let head = "\"timestamp\":\"2026-11-20 20:28:31.135 UTC\",\"user\":\"app\",\"dbname\":\"appdb\",\"pid\":17085,\"session_id\":\"6b00ad70.42bd\",\"line_num\":3";
    let audit = json(&format!("AUDIT: SESSION,1,1,ROLE,ALTER ROLE,,,{},<none>", csv(sql)));
    let message = json(&format!("statement: {sql}"));
    format!(
        "{{{head},\"error_severity\":\"LOG\",\"message\":{audit},\"backend_type\":\"client backend\"}}\n\
         {{{head},\"error_severity\":\"ERROR\",\"state_code\":\"42601\",\"message\":\"syntax error\",\"statement\":{},\"backend_type\":\"client backend\"}}\n\
         {{{head},\"error_severity\":\"LOG\",\"message\":{message},\"backend_type\":\"client backend\"}}\n",
        json(sql)
    )
}

pub fn stderr(sql: &str) -> String {
    let sql = sql.replace('\n', "\n\t");
    let head = "2026-11-20 20:28:31.135 UTC [7] app@db ";
    format!(
        "{head}ERROR:  syntax error at or near \"x\" at character 1\n{head}STATEMENT:  {sql}\n{head}LOG:  statement: {sql}\n\
         {head}LOG:  AUDIT: SESSION,1,1,ROLE,ALTER ROLE,,,{},<none>\n",
        csv(&sql)
    )
}

pub fn syslog(sql: &str) -> String {
    let sql = sql.replace('\n', "\nNov 20 20:28:31 db1 postgres[7]: [3-2] #011");
    format!("Nov 20 20:28:31 db1 postgres[7]: [3-1] 2026-11-20 20:28:31.135 UTC [7] app@db LOG:  statement: {sql}\n")
}

pub fn cloudnativepg(sql: &str) -> String {
    format!(
        "{{\"level\":\"info\",\"ts\":\"2021-07-07T12:44:57.345Z\",\"logger\":\"postgres\",\"msg\":\"record\",\"record\":{{\"log_time\":\"2021-07-07 12:44:57.345 UTC\",\
         \"user_name\":\"postgres\",\"database_name\":\"postgres\",\"process_id\":\"1047\",\"connection_from\":\"[local]\",\"session_id\":\"60e5a2c9.417\",\"session_line_num\":\"1\",\"command_tag\":\"ALTER ROLE\",\"session_start_time\":\"2021-07-07 12:44:57 UTC\",\"virtual_transaction_id\":\"3/8\",\"transaction_id\":\"0\",\"error_severity\":\"ERROR\",\"sql_state_code\":\"42601\",\
         \"application_name\":\"psql\",\"backend_type\":\"client backend\",\"message\":\"syntax error\",\"query\":{}}},\"logging_pod\":\"c-1\"}}\n",
        json(sql)
    )
}

pub fn pgauditlogtofile_json(sql: &str) -> String {
    format!(
        "{{\"log.source\":\"pgauditlogtofile\",\"severity\":\"audit\",\"timestamp\":\"2026-11-20 20:29:15.420834486 UTC\",\"db.user\":\"app\",\"db.name\":\"appdb\",\
         \"custom.process_id\":\"17423\",\"custom.session_id\":\"6b00ad9b.440f\",\"custom.state_code\":\"00000\",\"custom.audit_type\":\"SESSION\",\
         \"custom.statement_id\":\"1\",\"custom.substatement_id\":\"1\",\"custom.class\":\"ROLE\",\"custom.command\":\"ALTER ROLE\",\"content\":{}}}\n",
        json(&format!("{},<none>", csv(sql)))
    )
}

pub fn server_audit(sql: &str) -> String {
    format!(
        "20261120 20:31:42,vm,app,127.0.0.1,6,30,QUERY,appdb,'{}',1064\n20261120 20:31:43,vm,app,127.0.0.1,6,31,QUERY,appdb,'{}",
        audit(sql),
        // The server's own limit, or a crash, cuts the row.
        audit(sql)
    )
}

pub fn general_log(sql: &str) -> String {
    format!(
        "/usr/sbin/mysqld, Version: 8.0.26 (MySQL Community Server - GPL). started with:\nTcp port: 3306  Unix socket: /x.sock\nTime                 Id Command    Argument\n\
         2020-08-26T17:28:58.123456Z\t    8 Connect\tapp@127.0.0.1 on appdb using SSL/TLS\n2020-08-26T17:28:58.223456Z\t    8 Query\t{sql}\n\
         2020-08-26T17:28:59.223456Z\t    8 Quit\t\n"
    )
}

pub fn mysql_json(sql: &str) -> String {
    format!(
        "[\n{{ \"timestamp\": \"2020-08-26 17:29:00\", \"id\": 1, \"class\": \"general\", \"event\": \"status\", \"connection_id\": 41, \
         \"account\": {{ \"user\": \"app\", \"host\": \"h\" }}, \"login\": {{ \"user\": \"app\", \"os\": \"\", \"ip\": \"192.0.2.1\", \"proxy\": \"\" }}, \
         \"general_data\": {{ \"command\": \"Query\", \"sql_command\": \"error\", \"query\": {}, \"status\": 1064 }} }}\n]\n",
        json(sql)
    )
}

pub fn percona_json(sql: &str) -> String {
    format!(
        "{{\"audit_record\":{{\"name\":\"Query\",\"record\":\"3_2019-10-03T06:24:58\",\"timestamp\":\"2019-10-03T06:25:02Z\",\"command_class\":\"error\",\"connection_id\":\"12\",\
         \"status\":1064,\"sqltext\":{},\"user\":\"root[root] @ localhost []\",\"host\":\"localhost\",\"os_user\":\"\",\"ip\":\"\",\"db\":\"appdb\"}}}}\n",
        json(sql).replace('/', "\\/")
    )
}

pub fn percona_csv(sql: &str) -> String {
    format!(
        "\"Query\",\"3_2019-10-03T06:24:58\",\"2019-10-03T06:25:02 UTC\",\"error\",\"12\",1064,{},\"root[root] @ localhost []\",\"localhost\",\"\",\"\",\"appdb\"\n",
        csv(sql)
    )
}

pub fn percona_xml(sql: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<AUDIT>\n<AUDIT_RECORD\n  NAME=\"Query\"\n  RECORD=\"3_2019-10-03T06:24:58\"\n  TIMESTAMP=\"2019-10-03T06:25:02 UTC\"\n  \
         COMMAND_CLASS=\"error\"\n  CONNECTION_ID=\"12\"\n  STATUS=\"1064\"\n  SQLTEXT=\"{}\"\n  USER=\"root[root] @ localhost []\"\n  HOST=\"localhost\"\n  OS_USER=\"\"\n  IP=\"\"\n  DB=\"appdb\"\n/>\n",
        xml(sql)
    )
}

pub fn trellix(sql: &str) -> String {
    format!(
        "{{\"msg-type\":\"activity\",\"date\":\"1510038432021\",\"thread-id\":\"10\",\"query-id\":\"5\",\"user\":\"app\",\"priv_user\":\"app\",\"ip\":\"\",\"host\":\"localhost\",\
         \"status\":\"1064\",\"cmd\":\"error\",\"query\":{}}}\n",
        json(sql)
    )
}

pub fn aurora(sql: &str) -> String {
    format!("1679569000492601,db-1,admin,10.0.0.7,31,1201,QUERY,shop,'{}',1064\n", audit(sql))
}

pub fn oracle_aud(sql: &str) -> String {
    let len = sql.len();
    format!(
        "Wed Oct 21 11:58:08 2020 -04:00\nLENGTH : '{}'\nACTION :[{len}] '{sql}'\nDATABASE USER:[1] '/'\nPRIVILEGE :[6] 'SYSDBA'\nCLIENT USER:[6] 'oracle'\n\
         CLIENT TERMINAL:[5] 'pts/0'\nSTATUS:[1] '0'\nDBID:[9] '131437128'\n\n",
        len + 150
    )
}

pub fn oracle_xml(sql: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n  <Audit xmlns=\"http://xmlns.oracle.com/oracleas/schema/dbserver_audittrail-11_2.xsd\">\n   <Version>11.2</Version>\n\
         <AuditRecord><Audit_Type>1</Audit_Type><Session_Id>250064</Session_Id><StatementId>3</StatementId><EntryId>1</EntryId>\
         <Extended_Timestamp>2026-03-29T14:54:00.782747Z</Extended_Timestamp><DB_User>SCOTT</DB_User><Action>43</Action><Returncode>0</Returncode>\n\
         <Sql_Text>{}</Sql_Text>\n</AuditRecord>\n",
        sql.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\'', "&apos;")
    )
}

pub fn sqlserver(sql: &str) -> String {
    format!(
        "Information\t10/23/2026 3:11:01 AM\tMSSQLSERVER$AUDIT\t33205\tNone\t\"Audit event: audit_schema_version:1\nevent_time:2026-10-23 03:11:01.1300947\nsequence_number:1\n\
         action_id:AL  \nsucceeded:true\nis_column_permission:false\nsession_id:55\nserver_principal_name:sa\nstatement:{}\nadditional_information:\n\"\n",
        sql.replace('"', "\"\"")
    )
}

pub fn server_audit_syslog(sql: &str) -> String {
    format!(
        "Nov 20 20:31:44 vm mysql-server_auditing: prod-db-1 vm,root,localhost,3,8,QUERY,appdb,'{}',1064\n",
        audit(sql)
    )
}

pub const EVENT: &str = "audit_schema_version:1\nevent_time:2026-10-23 03:11:01.1300947\nsequence_number:1\naction_id:AL  \nsucceeded:true\n\
    is_column_permission:true\nsession_id:55\nclass_type:U \nserver_principal_name:sa\nserver_instance_name:SQL01\ndatabase_name:shop\nschema_name:dbo\n\
    object_name:l\nstatement:";

pub fn sqlserver_json(sql: &str) -> String {
    format!(
        "{{\"@timestamp\":\"2026-10-23T03:11:01.487Z\",\"winlog\":{{\"computer_name\":\"sql01\",\"record_id\":17607,\"event_id\":\"33205\",\"channel\":\"Security\",\
         \"event_data\":{{\"param1\":{}}}}}}}\n",
        json(&format!("{EVENT}{sql}\nadditional_information:\n"))
    )
}

pub fn sqlserver_lines(sql: &str) -> String {
    format!(
        "{{\"event_time\":\"2026-10-23T03:11:01.1300947\",\"sequence_number\":\"1\",\"action_id\":\"AL  \",\"succeeded\":true,\"session_id\":55,\"class_type\":\"U \",\
         \"server_principal_name\":\"sa\",\"server_instance_name\":\"SQL01\",\"database_name\":\"shop\",\"schema_name\":\"dbo\",\"object_name\":\"l\",\"statement\":{},\
         \"additional_information\":\"\"}}\n",
        json(sql)
    )
}

pub fn sqlserver_csv(sql: &str) -> String {
    let head = "event_time,sequence_number,action_id,succeeded,permission_bitmask,is_column_permission,session_id,server_principal_id,database_principal_id,\
        target_server_principal_id,target_database_principal_id,object_id,class_type,session_server_principal_name,server_principal_name,server_principal_sid,\
        database_principal_name,target_server_principal_name,target_server_principal_sid,target_database_principal_name,server_instance_name,database_name,\
        schema_name,object_name,statement,additional_information,file_name,audit_file_offset,user_defined_event_id,user_defined_information,\
        audit_schema_version,sequence_group_id,transaction_id,client_ip,application_name,duration_milliseconds,response_rows,affected_rows,connection_id,\
        data_sensitivity_information,host_name";
    format!(
        "{head}\n2026-10-23 03:11:01.1300947,1,AL  ,1,00000000000000000000000000000001,true,55,259,1,0,0,885578193,U ,sa,sa,0105,dbo,,,,SQL01,shop,dbo,l,{},,\
         /a.sqlaudit,5632,0,,1,02BE335D-A7DF-4380-87C1-FC1CD4F0A0A1,39562,NULL,sqlcmd,0,0,0,E26F1BB6-1A98-488B-ADDF-7B7C19FA1BB4,,DESK7\n",
        csv(sql)
    )
}

/// Cloud SQL's rows of both engines.
pub fn cloudsql_postgres(sql: &str) -> String {
    cloudsql(&format!(
        "\"@type\":\"type.googleapis.com/google.cloud.sql.audit.v1.PgAuditEntry\",\"auditClass\":\"ROLE\",\"auditType\":\"SESSION\",\"chunkCount\":\"1\",\"chunkIndex\":\"1\",\
         \"command\":\"ALTER ROLE\",\"database\":\"postgres\",\"databaseSessionId\":\"6163519f.8e\",\"object\":\"\",\"objectType\":\"\",\"parameter\":\"[not logged]\",\
         \"statement\":{},\"statementId\":6,\"substatementId\":1,\"user\":\"alice\"",
        json(sql)
    ))
}

pub fn cloudsql_mysql(sql: &str) -> String {
    cloudsql(&format!(
        "\"@type\":\"type.googleapis.com/google.cloud.sql.audit.v1.MysqlAuditEntry\",\"cmd\":\"error\",\"date\":\"2023-08-02T07:33:53.602232Z\",\"errCode\":\"1064\",\
         \"ip\":\"10.0.0.7\",\"msgType\":\"activity\",\"objects\":[],\"privUser\":\"root\",\"query\":{},\"queryId\":\"130997\",\"status\":\"unsuccessful\",\
         \"threadId\":\"10549\",\"user\":\"root\"",
        json(sql)
    ))
}

pub fn cloudsql(request: &str) -> String {
    format!(
        "{{\"insertId\":\"2#1\",\"logName\":\"projects/p/logs/cloudaudit.googleapis.com%2Fdata_access\",\"protoPayload\":{{\
         \"@type\":\"type.googleapis.com/google.cloud.audit.AuditLog\",\"methodName\":\"cloudsql.instances.query\",\"request\":{{{request}}},\
         \"resourceName\":\"instances/i\",\"serviceName\":\"cloudsql.googleapis.com\"}},\"receiveTimestamp\":\"2023-08-02T07:33:56.315487643Z\",\
         \"resource\":{{\"labels\":{{\"database_id\":\"p:i\",\"project_id\":\"p\"}},\"type\":\"cloudsql_database\"}},\"timestamp\":\"2023-08-02T07:33:53.602Z\"}}\n"
    )
}

pub fn azure(sql: &str) -> String {
    let message = "2024-03-01 13:59:49 UTC:10.0.0.7(64783):dbuser@postgres:[10614]:app:42601ERROR:  42601: syntax error at character 15";
    format!(
        "{{\"records\":[{{\"time\":\"2024-03-01T13:59:49.123Z\",\"resourceId\":\"/SUBSCRIPTIONS/0/RESOURCEGROUPS/RG/PROVIDERS/MICROSOFT.DBFORPOSTGRESQL/FLEXIBLESERVERS/DB1\",\
         \"category\":\"PostgreSQLLogs\",\"operationName\":\"LogEvent\",\"properties\":{{\"timestamp\":\"2024-03-01 13:59:49.123 UTC\",\"processId\":10614,\
         \"errorLevel\":\"ERROR\",\"sqlerrcode\":\"42601\",\"message\":\"{message}\",\"statement\":{}}}}}]}}\n",
        json(sql)
    )
}

pub fn teleport(sql: &str) -> String {
    format!(
        "{{\"ei\":0,\"event\":\"db.session.query\",\"uid\":\"9d37514f-aef5-426f-9fda-31fd35d070f5\",\"time\":\"2021-10-08T15:42:15.39Z\",\"cluster_name\":\"root\",\
         \"code\":\"TDB02I\",\"success\":true,\"user\":\"alice\",\"sid\":\"a724c7e8-8e00-45a6-afac-82023d0f86b6\",\"db_service\":\"local\",\"db_protocol\":\"postgres\",\
         \"db_user\":\"postgres\",\"db_name\":\"test\",\"db_query\":{}}}\n",
        json(sql)
    )
}

pub fn docker(sql: &str) -> String {
    let line = |row: &str| {
        format!(
            "{{\"log\":{},\"stream\":\"stderr\",\"time\":\"2026-11-20T20:28:31.000000002Z\"}}\n",
            json(&format!("{row}\n"))
        )
    };
    jsonlog(sql).lines().map(line).collect()
}

pub fn cri(sql: &str) -> String {
    jsonlog(sql).lines().map(|row| format!("2026-11-20T20:28:31.000000002Z stderr F {row}\n")).collect()
}

/// Its CSV quotes the statement where it must; a second row has it in its context, which newer versions escape, and older ones do not even quote.
pub fn pgauditlogtofile_csv(sql: &str) -> String {
    let head = "2026-11-20 20:29:09.170 UTC,app,appdb,17337,127.0.0.1:38024,6b00ad95.43b9,35,DO,2026-11-20 20:29:09 UTC,3/49,757,00000,SESSION,22,2,ROLE,ALTER ROLE";
    let context = format!("SQL statement \"{sql}\"\nPL/pgSQL function inline_code_block line 3 at EXECUTE");
    format!(
        "{head},,,{},<none>,0,,,,,,,,,psql\n{head},,,SELECT 1,<none>,0,,,,,{context},,,,psql\n{head},,,SELECT 1,<none>,0,,,,,{},,,,psql\n",
        csv(sql),
        json(&context)
    )
}

pub fn aurora_das(sql: &str) -> String {
    format!(
        "{{\"type\":\"DatabaseActivityMonitoringRecord\",\"clusterId\":\"cluster-4\",\"instanceId\":\"db-F\",\"databaseActivityEventList\":[{{\"startTime\":\"2019-10-30 00:39:49.940668+00\",\
         \"logTime\":\"2019-10-30 00:39:49.990579+00\",\"statementId\":1,\"substatementId\":1,\"objectType\":null,\"command\":\"ALTER ROLE\",\"objectName\":null,\"databaseName\":\"postgres\",\
         \"dbUserName\":\"app\",\"remoteHost\":\"172.31.3.195\",\"remotePort\":\"49804\",\"sessionId\":\"5ce5f7f0.474b\",\"rowCount\":null,\"commandText\":{},\"paramList\":[],\"pid\":18251,\
         \"clientApplication\":\"psql\",\"exitCode\":1,\"class\":\"ROLE\",\"serverVersion\":\"2.3.1\",\"serverType\":\"PostgreSQL\",\"serviceName\":\"Amazon Aurora PostgreSQL-Compatible edition\",\
         \"serverHost\":\"172.31.3.192\",\"netProtocol\":\"TCP\",\"dbProtocol\":\"Postgres 3.0\",\"type\":\"record\"}}]}}\n",
        json(sql)
    )
}

/// RDS for PostgreSQL, as CloudWatch hands its log out.
pub fn cloudwatch_postgres(sql: &str) -> String {
    let head = "2026-11-20 17:40:24 UTC:127.0.0.1(56590):app@db:[25897]:";
    let audit = format!("{head}LOG:  AUDIT: SESSION,1,1,ROLE,ALTER ROLE,,,{},<none>", csv(&sql.replace('\n', "\n\t")));
    let failed = format!("{head}ERROR:  syntax error at character 15");
    let statement = format!("{head}STATEMENT:  {}", sql.replace('\n', "\n\t"));
    cloudwatch("/aws/rds/instance/db1/postgresql", &[&audit, &failed, &statement])
}

/// RDS for MySQL, its audit plugin.
pub fn cloudwatch_mysql(sql: &str) -> String {
    cloudwatch(
        "/aws/rds/cluster/c1/audit",
        &[&format!("20261120 20:31:42,ip-10-0-0-1,app,10.0.0.7,9,17,QUERY,shop,'{}',1064,,", audit(sql))],
    )
}

fn cloudwatch(group: &str, messages: &[&str]) -> String {
    let event = |(index, message): (usize, &&str)| {
        format!(
            "{{\"id\":\"31953106606966983378809025079804211143289615424{index:05}\",\"timestamp\":1763670511000,\"message\":{}}}",
            json(message)
        )
    };
    let events: Vec<_> = messages.iter().enumerate().map(event).collect();
    format!(
        "{{\"messageType\":\"DATA_MESSAGE\",\"owner\":\"123456789123\",\"logGroup\":\"{group}\",\"logStream\":\"db1.0\",\"subscriptionFilters\":[\"to-s3\"],\
         \"logEvents\":[{}]}}\n",
        events.join(",")
    )
}

/// The statement stands in a request that is JSON within JSON, and in its answer.
pub fn bytebase(sql: &str) -> String {
    let request = format!("{{\"name\":\"instances/i/databases/d\",\"statement\":{}}}", json(sql));
    let response = format!("{{\"results\":[{{\"error\":\"syntax error\",\"statement\":{}}}]}}", json(sql));
    format!(
        "{{\"time\":\"2026-11-20T20:28:31.135+01:00\",\"level\":\"INFO\",\"msg\":\"/bytebase.v1.SQLService/Query\",\"log_type\":\"audit\",\"parent\":\"projects/shop\",\
         \"method\":\"/bytebase.v1.SQLService/Query\",\"resource\":\"instances/i/databases/d\",\"user\":\"users/alice@corp\",\"status_code\":3,\"status_message\":{},\
         \"latency_ms\":12,\"request\":{},\"response\":{}}}\n",
        json(&format!("failed to execute: {sql}")),
        json(&request),
        json(&response)
    )
}

/// What SYS does is logged with its text as the action.
pub fn oracle_syslog(sql: &str) -> String {
    let sql = sql.replace('\n', "#012").replace('\t', "#011");
    format!(
        "Dec  7 16:05:45 host Oracle Audit[1]: LENGTH : '{}' ACTION :[{}] '{sql}' DATABASE USER:[1] '/' PRIVILEGE :[6] 'SYSDBA' CLIENT USER:[6] 'oracle' \
         CLIENT TERMINAL:[5] 'pts/0' STATUS:[1] '0' DBID:[9] '131437128'\n",
        sql.len() + 150,
        sql.len()
    )
}

pub type Render = fn(&str) -> String;

pub const FORMATS: [(&str, Format, Render); 34] = [
    ("postgresql", Format::PostgresCsvlog, csvlog),
    ("postgresql", Format::PostgresJsonlog, jsonlog),
    ("postgresql", Format::PostgresStderr, stderr),
    ("postgresql", Format::PostgresSyslog, syslog),
    ("postgresql", Format::Cloudnativepg, cloudnativepg),
    ("postgresql", Format::PgauditlogtofileJson, pgauditlogtofile_json),
    ("mysql", Format::MariadbAudit, server_audit),
    ("mysql", Format::MysqlGeneral, general_log),
    ("mysql", Format::MysqlAuditJson, mysql_json),
    ("mysql", Format::PerconaAuditJson, percona_json),
    ("mysql", Format::PerconaAuditCsv, percona_csv),
    ("mysql", Format::PerconaAuditXml, percona_xml),
    ("mysql", Format::TrellixAuditJson, trellix),
    ("mysql", Format::AuroraAudit, aurora),
    ("oracle", Format::OracleAud, oracle_aud),
    ("oracle", Format::OracleXml, oracle_xml),
    ("sqlserver", Format::SqlserverEvent, sqlserver),
    ("sqlserver", Format::SqlserverErrorlog, errorlog),
    ("sqlserver", Format::SqlserverEventJson, sqlserver_json),
    ("sqlserver", Format::SqlserverAuditJson, sqlserver_lines),
    ("sqlserver", Format::SqlserverAuditCsv, sqlserver_csv),
    ("mysql", Format::MariadbAuditSyslog, server_audit_syslog),
    ("mysql", Format::Cloudsql, cloudsql_mysql),
    ("postgresql", Format::Cloudsql, cloudsql_postgres),
    ("postgresql", Format::Azure, azure),
    ("postgresql", Format::TeleportAudit, teleport),
    ("postgresql", Format::DockerJson, docker),
    ("postgresql", Format::Cri, cri),
    ("postgresql", Format::PgauditlogtofileCsv, pgauditlogtofile_csv),
    ("postgresql", Format::AuroraDas, aurora_das),
    ("postgresql", Format::Cloudwatch, cloudwatch_postgres),
    ("mysql", Format::Cloudwatch, cloudwatch_mysql),
    ("postgresql", Format::BytebaseAudit, bytebase),
    ("oracle", Format::OracleSyslog, oracle_syslog),
];

/// A log that knows nothing of statements: its lines are messages.
pub fn errorlog(sql: &str) -> String {
    format!("2026-10-23 03:11:01.13 spid55      Error while running: {}\r\n", sql.replace('\n', " "))
}
