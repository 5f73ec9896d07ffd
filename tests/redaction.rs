//! No secret of a row is in its record: statements with planted secrets, through every format that has statements.
//!
//! `tests/redaction/` has the statements, one a line, by engine. `«»` is a secret that this test makes, `«x»` the secret x, and `‹›` one without
//! quotes, for which the mark brings its own. What a statement must become is the same line with marks in these places.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::fs;

use proptest::prelude::*;
use sealtrail::parse::{Request, parse};
use sealtrail_parsers::Format;
use sealtrail_parsers::postgres_prefix::Prefix;
use serde_json::Value;

const MARK: &str = "[redacted]";

/// A statement, what is secret in it, and what is to be left of it.
struct Planted {
    sql: String,
    secrets: Vec<String>,
    left: String,
}

impl Planted {
    fn of(line: &str) -> Self {
        let line = line.replace("\\n", "\n").replace("\\t", "\t");
        let mut planted = Planted { sql: String::new(), secrets: Vec::new(), left: String::new() };
        let mut rest = line.as_str();
        while let Some(at) = rest.find(['«', '‹']) {
            let is_bare = rest[at..].starts_with('‹');
            let (open, close) = if is_bare { ('‹', '›') } else { ('«', '»') };
            let inner = &rest[at + open.len_utf8()..];
            let end = inner.find(close).unwrap();
            let own = format!("Kx9qW{}vT7", planted.secrets.len());
            let secret = if end == 0 { own } else { inner[..end].to_owned() };
            planted.sql += &rest[..at];
            planted.sql += &secret;
            planted.left += &rest[..at];
            planted.left += &if is_bare { format!("'{MARK}'") } else { MARK.to_owned() };
            planted.secrets.push(secret);
            rest = &inner[end + close.len_utf8()..];
        }
        planted.sql += rest;
        planted.left += rest;
        planted
    }

    /// Panics where a secret is left in what became of it.
    fn is_gone_from(&self, format: Format, lines: &[u8]) {
        let lines = std::str::from_utf8(lines).unwrap();
        assert!(!lines.is_empty(), "{format:?}: {}", self.sql);
        for line in lines.lines() {
            let value: Value = serde_json::from_str(line).unwrap();
            for secret in &self.secrets {
                let is_in = holds(&value, secret) || line.contains(secret.as_str());
                assert!(!is_in, "{format:?}: {secret} of {}\nis in {line}", self.sql);
            }
        }
        let redacted = lines.lines().any(|line| line.contains("\"redacted\":["));
        assert!(redacted, "{format:?}: no record says so: {}\n{lines}", self.sql);
    }
}

/// Whether a text is anywhere in it.
fn holds(value: &Value, text: &str) -> bool {
    match value {
        Value::String(string) => string.contains(text),
        Value::Array(values) => values.iter().any(|value| holds(value, text)),
        Value::Object(members) => members.iter().any(|(name, value)| name.contains(text) || holds(value, text)),
        _ => false,
    }
}

fn planted(engine: &str) -> Vec<Planted> {
    let path = format!("{}/tests/redaction/{engine}.sql", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(path).unwrap().lines().map(Planted::of).collect()
}

/// What a row becomes.
fn records(format: Format, log: &[u8], record_max_bytes: usize) -> Vec<u8> {
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
    parse(&request, &mut &log[..], &mut out).unwrap();
    out
}

const WHOLE: usize = 4 << 20;

fn csv(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

fn json(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\n', "&#10;")
}

/// As server_audit escapes.
fn audit(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n").replace('\t', "\\t")
}

const CSVLOG: &str = "2026-11-20 20:28:31.135 UTC,\"app\",\"appdb\",17085,\"127.0.0.1:53404\",6b00ad70.42bd,3,\"ALTER ROLE\",2026-11-20 20:28:32 UTC,3/1,0,";

/// A row of pgAudit, one of an error, one of the statement log, and one whose context has it.
fn csvlog(sql: &str) -> String {
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

fn jsonlog(sql: &str) -> String {
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

fn stderr(sql: &str) -> String {
    let sql = sql.replace('\n', "\n\t");
    let head = "2026-11-20 20:28:31.135 UTC [7] app@db ";
    format!(
        "{head}ERROR:  syntax error at or near \"x\" at character 1\n{head}STATEMENT:  {sql}\n{head}LOG:  statement: {sql}\n\
         {head}LOG:  AUDIT: SESSION,1,1,ROLE,ALTER ROLE,,,{},<none>\n",
        csv(&sql)
    )
}

fn syslog(sql: &str) -> String {
    let sql = sql.replace('\n', "\nNov 20 20:28:31 db1 postgres[7]: [3-2] #011");
    format!("Nov 20 20:28:31 db1 postgres[7]: [3-1] 2026-11-20 20:28:31.135 UTC [7] app@db LOG:  statement: {sql}\n")
}

fn cloudnativepg(sql: &str) -> String {
    format!(
        "{{\"level\":\"info\",\"ts\":\"2021-07-07T12:44:57.345Z\",\"logger\":\"postgres\",\"msg\":\"record\",\"record\":{{\"log_time\":\"2021-07-07 12:44:57.345 UTC\",\
         \"user_name\":\"postgres\",\"database_name\":\"postgres\",\"process_id\":\"1047\",\"connection_from\":\"[local]\",\"session_id\":\"60e5a2c9.417\",\"session_line_num\":\"1\",\"command_tag\":\"ALTER ROLE\",\"session_start_time\":\"2021-07-07 12:44:57 UTC\",\"virtual_transaction_id\":\"3/8\",\"transaction_id\":\"0\",\"error_severity\":\"ERROR\",\"sql_state_code\":\"42601\",\
         \"application_name\":\"psql\",\"backend_type\":\"client backend\",\"message\":\"syntax error\",\"query\":{}}},\"logging_pod\":\"c-1\"}}\n",
        json(sql)
    )
}

fn pgauditlogtofile_json(sql: &str) -> String {
    format!(
        "{{\"log.source\":\"pgauditlogtofile\",\"severity\":\"audit\",\"timestamp\":\"2026-11-20 20:29:15.420834486 UTC\",\"db.user\":\"app\",\"db.name\":\"appdb\",\
         \"custom.process_id\":\"17423\",\"custom.session_id\":\"6b00ad9b.440f\",\"custom.state_code\":\"00000\",\"custom.audit_type\":\"SESSION\",\
         \"custom.statement_id\":\"1\",\"custom.substatement_id\":\"1\",\"custom.class\":\"ROLE\",\"custom.command\":\"ALTER ROLE\",\"content\":{}}}\n",
        json(&format!("{},<none>", csv(sql)))
    )
}

fn server_audit(sql: &str) -> String {
    format!(
        "20261120 20:31:42,vm,app,127.0.0.1,6,30,QUERY,appdb,'{}',1064\n20261120 20:31:43,vm,app,127.0.0.1,6,31,QUERY,appdb,'{}",
        audit(sql),
        // The server's own limit, or a crash, cuts the row.
        audit(sql)
    )
}

fn general_log(sql: &str) -> String {
    format!(
        "/usr/sbin/mysqld, Version: 8.0.26 (MySQL Community Server - GPL). started with:\nTcp port: 3306  Unix socket: /x.sock\nTime                 Id Command    Argument\n\
         2020-08-26T17:28:58.123456Z\t    8 Connect\tapp@127.0.0.1 on appdb using SSL/TLS\n2020-08-26T17:28:58.223456Z\t    8 Query\t{sql}\n\
         2020-08-26T17:28:59.223456Z\t    8 Quit\t\n"
    )
}

fn mysql_json(sql: &str) -> String {
    format!(
        "[\n{{ \"timestamp\": \"2020-08-26 17:29:00\", \"id\": 1, \"class\": \"general\", \"event\": \"status\", \"connection_id\": 41, \
         \"account\": {{ \"user\": \"app\", \"host\": \"h\" }}, \"login\": {{ \"user\": \"app\", \"os\": \"\", \"ip\": \"192.0.2.1\", \"proxy\": \"\" }}, \
         \"general_data\": {{ \"command\": \"Query\", \"sql_command\": \"error\", \"query\": {}, \"status\": 1064 }} }}\n]\n",
        json(sql)
    )
}

fn percona_json(sql: &str) -> String {
    format!(
        "{{\"audit_record\":{{\"name\":\"Query\",\"record\":\"3_2019-10-03T06:24:58\",\"timestamp\":\"2019-10-03T06:25:02Z\",\"command_class\":\"error\",\"connection_id\":\"12\",\
         \"status\":1064,\"sqltext\":{},\"user\":\"root[root] @ localhost []\",\"host\":\"localhost\",\"os_user\":\"\",\"ip\":\"\",\"db\":\"appdb\"}}}}\n",
        json(sql).replace('/', "\\/")
    )
}

fn percona_csv(sql: &str) -> String {
    format!(
        "\"Query\",\"3_2019-10-03T06:24:58\",\"2019-10-03T06:25:02 UTC\",\"error\",\"12\",1064,{},\"root[root] @ localhost []\",\"localhost\",\"\",\"\",\"appdb\"\n",
        csv(sql)
    )
}

fn percona_xml(sql: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<AUDIT>\n<AUDIT_RECORD\n  NAME=\"Query\"\n  RECORD=\"3_2019-10-03T06:24:58\"\n  TIMESTAMP=\"2019-10-03T06:25:02 UTC\"\n  \
         COMMAND_CLASS=\"error\"\n  CONNECTION_ID=\"12\"\n  STATUS=\"1064\"\n  SQLTEXT=\"{}\"\n  USER=\"root[root] @ localhost []\"\n  HOST=\"localhost\"\n  OS_USER=\"\"\n  IP=\"\"\n  DB=\"appdb\"\n/>\n",
        xml(sql)
    )
}

fn trellix(sql: &str) -> String {
    format!(
        "{{\"msg-type\":\"activity\",\"date\":\"1510038432021\",\"thread-id\":\"10\",\"query-id\":\"5\",\"user\":\"app\",\"priv_user\":\"app\",\"ip\":\"\",\"host\":\"localhost\",\
         \"status\":\"1064\",\"cmd\":\"error\",\"query\":{}}}\n",
        json(sql)
    )
}

fn aurora(sql: &str) -> String {
    format!("1679569000492601,db-1,admin,10.0.0.7,31,1201,QUERY,shop,'{}',1064\n", audit(sql))
}

fn oracle_aud(sql: &str) -> String {
    let len = sql.len();
    format!(
        "Wed Oct 21 11:58:08 2020 -04:00\nLENGTH : '{}'\nACTION :[{len}] '{sql}'\nDATABASE USER:[1] '/'\nPRIVILEGE :[6] 'SYSDBA'\nCLIENT USER:[6] 'oracle'\n\
         CLIENT TERMINAL:[5] 'pts/0'\nSTATUS:[1] '0'\nDBID:[9] '131437128'\n\n",
        len + 150
    )
}

fn oracle_xml(sql: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n  <Audit xmlns=\"http://xmlns.oracle.com/oracleas/schema/dbserver_audittrail-11_2.xsd\">\n   <Version>11.2</Version>\n\
         <AuditRecord><Audit_Type>1</Audit_Type><Session_Id>250064</Session_Id><StatementId>3</StatementId><EntryId>1</EntryId>\
         <Extended_Timestamp>2026-03-29T14:54:00.782747Z</Extended_Timestamp><DB_User>SCOTT</DB_User><Action>43</Action><Returncode>0</Returncode>\n\
         <Sql_Text>{}</Sql_Text>\n</AuditRecord>\n",
        sql.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\'', "&apos;")
    )
}

fn sqlserver(sql: &str) -> String {
    format!(
        "Information\t10/23/2026 3:11:01 AM\tMSSQLSERVER$AUDIT\t33205\tNone\t\"Audit event: audit_schema_version:1\nevent_time:2026-10-23 03:11:01.1300947\nsequence_number:1\n\
         action_id:AL  \nsucceeded:true\nis_column_permission:false\nsession_id:55\nserver_principal_name:sa\nstatement:{}\nadditional_information:\n\"\n",
        sql.replace('"', "\"\"")
    )
}

fn server_audit_syslog(sql: &str) -> String {
    format!(
        "Nov 20 20:31:44 vm mysql-server_auditing: prod-db-1 vm,root,localhost,3,8,QUERY,appdb,'{}',1064\n",
        audit(sql)
    )
}

const EVENT: &str = "audit_schema_version:1\nevent_time:2026-10-23 03:11:01.1300947\nsequence_number:1\naction_id:AL  \nsucceeded:true\n\
    is_column_permission:true\nsession_id:55\nclass_type:U \nserver_principal_name:sa\nserver_instance_name:SQL01\ndatabase_name:shop\nschema_name:dbo\n\
    object_name:l\nstatement:";

fn sqlserver_json(sql: &str) -> String {
    format!(
        "{{\"@timestamp\":\"2026-10-23T03:11:01.487Z\",\"winlog\":{{\"computer_name\":\"sql01\",\"record_id\":17607,\"event_id\":\"33205\",\"channel\":\"Security\",\
         \"event_data\":{{\"param1\":{}}}}}}}\n",
        json(&format!("{EVENT}{sql}\nadditional_information:\n"))
    )
}

fn sqlserver_lines(sql: &str) -> String {
    format!(
        "{{\"event_time\":\"2026-10-23T03:11:01.1300947\",\"sequence_number\":\"1\",\"action_id\":\"AL  \",\"succeeded\":true,\"session_id\":55,\"class_type\":\"U \",\
         \"server_principal_name\":\"sa\",\"server_instance_name\":\"SQL01\",\"database_name\":\"shop\",\"schema_name\":\"dbo\",\"object_name\":\"l\",\"statement\":{},\
         \"additional_information\":\"\"}}\n",
        json(sql)
    )
}

fn sqlserver_csv(sql: &str) -> String {
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
fn cloudsql_postgres(sql: &str) -> String {
    cloudsql(&format!(
        "\"@type\":\"type.googleapis.com/google.cloud.sql.audit.v1.PgAuditEntry\",\"auditClass\":\"ROLE\",\"auditType\":\"SESSION\",\"chunkCount\":\"1\",\"chunkIndex\":\"1\",\
         \"command\":\"ALTER ROLE\",\"database\":\"postgres\",\"databaseSessionId\":\"6163519f.8e\",\"object\":\"\",\"objectType\":\"\",\"parameter\":\"[not logged]\",\
         \"statement\":{},\"statementId\":6,\"substatementId\":1,\"user\":\"alice\"",
        json(sql)
    ))
}

fn cloudsql_mysql(sql: &str) -> String {
    cloudsql(&format!(
        "\"@type\":\"type.googleapis.com/google.cloud.sql.audit.v1.MysqlAuditEntry\",\"cmd\":\"error\",\"date\":\"2023-08-02T07:33:53.602232Z\",\"errCode\":\"1064\",\
         \"ip\":\"10.0.0.7\",\"msgType\":\"activity\",\"objects\":[],\"privUser\":\"root\",\"query\":{},\"queryId\":\"130997\",\"status\":\"unsuccessful\",\
         \"threadId\":\"10549\",\"user\":\"root\"",
        json(sql)
    ))
}

fn cloudsql(request: &str) -> String {
    format!(
        "{{\"insertId\":\"2#1\",\"logName\":\"projects/p/logs/cloudaudit.googleapis.com%2Fdata_access\",\"protoPayload\":{{\
         \"@type\":\"type.googleapis.com/google.cloud.audit.AuditLog\",\"methodName\":\"cloudsql.instances.query\",\"request\":{{{request}}},\
         \"resourceName\":\"instances/i\",\"serviceName\":\"cloudsql.googleapis.com\"}},\"receiveTimestamp\":\"2023-08-02T07:33:56.315487643Z\",\
         \"resource\":{{\"labels\":{{\"database_id\":\"p:i\",\"project_id\":\"p\"}},\"type\":\"cloudsql_database\"}},\"timestamp\":\"2023-08-02T07:33:53.602Z\"}}\n"
    )
}

fn azure(sql: &str) -> String {
    let message = "2024-03-01 13:59:49 UTC:10.0.0.7(64783):dbuser@postgres:[10614]:app:42601ERROR:  42601: syntax error at character 15";
    format!(
        "{{\"records\":[{{\"time\":\"2024-03-01T13:59:49.123Z\",\"resourceId\":\"/SUBSCRIPTIONS/0/RESOURCEGROUPS/RG/PROVIDERS/MICROSOFT.DBFORPOSTGRESQL/FLEXIBLESERVERS/DB1\",\
         \"category\":\"PostgreSQLLogs\",\"operationName\":\"LogEvent\",\"properties\":{{\"timestamp\":\"2024-03-01 13:59:49.123 UTC\",\"processId\":10614,\
         \"errorLevel\":\"ERROR\",\"sqlerrcode\":\"42601\",\"message\":\"{message}\",\"statement\":{}}}}}]}}\n",
        json(sql)
    )
}

fn teleport(sql: &str) -> String {
    format!(
        "{{\"ei\":0,\"event\":\"db.session.query\",\"uid\":\"9d37514f-aef5-426f-9fda-31fd35d070f5\",\"time\":\"2021-10-08T15:42:15.39Z\",\"cluster_name\":\"root\",\
         \"code\":\"TDB02I\",\"success\":true,\"user\":\"alice\",\"sid\":\"a724c7e8-8e00-45a6-afac-82023d0f86b6\",\"db_service\":\"local\",\"db_protocol\":\"postgres\",\
         \"db_user\":\"postgres\",\"db_name\":\"test\",\"db_query\":{}}}\n",
        json(sql)
    )
}

fn docker(sql: &str) -> String {
    let line = |row: &str| {
        format!(
            "{{\"log\":{},\"stream\":\"stderr\",\"time\":\"2026-11-20T20:28:31.000000002Z\"}}\n",
            json(&format!("{row}\n"))
        )
    };
    jsonlog(sql).lines().map(line).collect()
}

fn cri(sql: &str) -> String {
    jsonlog(sql).lines().map(|row| format!("2026-11-20T20:28:31.000000002Z stderr F {row}\n")).collect()
}

type Render = fn(&str) -> String;

const FORMATS: [(&str, Format, Render); 28] = [
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
];

/// A log that knows nothing of statements: its lines are messages.
fn errorlog(sql: &str) -> String {
    format!("2026-10-23 03:11:01.13 spid55      Error while running: {}\r\n", sql.replace('\n', " "))
}

#[test]
fn there_are_enough_statements() {
    let counts = ["postgresql", "mysql", "oracle", "sqlserver"].map(|engine| planted(engine).len());
    assert!(counts.iter().sum::<usize>() >= 300 && counts[0] >= 100 && counts[1] >= 100, "{counts:?}");
}

#[test]
fn no_planted_secret_is_in_a_record_of_any_format_and_the_rest_of_the_statement_is() {
    for (engine, format, render) in FORMATS {
        for planted in planted(engine) {
            let lines = records(format, render(&planted.sql).as_bytes(), WHOLE);
            planted.is_gone_from(format, &lines);
            let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            let values = lines.map(|line| serde_json::from_slice::<Value>(line).unwrap());
            let mut texts = values.filter_map(|value| value["statement"]["text"].as_str().map(str::to_owned));
            // Of a log of messages there is none.
            let is_left = |text: String| text.trim_end() == planted.left.trim_end();
            assert!(format == Format::SqlserverErrorlog || texts.any(is_left), "{format:?}: {}", planted.left);
        }
    }
}

#[test]
fn cut_anywhere_a_statement_shows_no_more_of_its_secrets_than_their_first_letters() {
    for (engine, format, render) in [FORMATS[0], ("mysql", Format::AuroraAudit, aurora), FORMATS[14], FORMATS[16]] {
        for planted in planted(engine) {
            let cuts = (1..planted.sql.len()).filter(|cut| planted.sql.is_char_boundary(*cut));
            let log: String = cuts.map(|cut| render(&planted.sql[..cut])).collect();
            let lines = String::from_utf8(records(format, log.as_bytes(), WHOLE)).unwrap();
            for line in lines.lines() {
                for secret in planted.secrets.iter().filter(|secret| secret.starts_with("Kx9qW")) {
                    assert!(!line.contains(&secret[..5]), "{format:?}: {secret} of {}\nis in {line}", planted.sql);
                }
            }
        }
    }
}

#[test]
fn bytes_that_are_no_row_lose_their_secrets_too() {
    for (engine, format, _) in [FORMATS[0], FORMATS[6], FORMATS[9], FORMATS[15], FORMATS[16]] {
        for planted in planted(engine) {
            if planted.sql.contains('\n') {
                continue;
            }
            let damaged = format!("no row at all: {}\n", planted.sql.replace('\n', " "));
            let lines = String::from_utf8(records(format, damaged.as_bytes(), WHOLE)).unwrap();
            for secret in planted.secrets.iter().filter(|secret| !secret.contains('\n')) {
                assert!(!lines.contains(secret.as_str()), "{format:?}: {secret} of {}\nis in {lines}", planted.sql);
            }
        }
    }
}

#[test]
fn a_row_that_is_not_utf8_keeps_its_bytes_without_its_secrets() {
    for planted in planted("postgresql").iter().filter(|planted| planted.secrets[0].starts_with("Kx9qW")) {
        let message = csv(&format!("statement: {}", planted.sql));
        let mut log = format!("{CSVLOG}LOG,00000,{message},,,,,,,,,\"").into_bytes();
        log.extend_from_slice(b"\xff\",\"client backend\",,0\n");
        let lines = records(Format::PostgresCsvlog, &log, WHOLE);
        planted.is_gone_from(Format::PostgresCsvlog, &lines);
        let value: Value = serde_json::from_slice(&lines).unwrap();
        let raw = value["raw_base64"].as_str().unwrap();
        let raw = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, raw).unwrap();
        let raw = String::from_utf8_lossy(&raw);
        for secret in &planted.secrets {
            assert!(!raw.contains(secret.as_str()), "{secret} is in {raw}");
        }
    }
}

#[test]
fn a_row_that_is_too_large_loses_its_secrets_wherever_they_stand() {
    for at in [0, 100, 3_000, 5_500] {
        let filler = |len: usize| "x ".repeat(len / 2);
        let sql =
            format!("SELECT '{}'; ALTER ROLE a PASSWORD 'Kx9qW0vT7'; SELECT '{}'", filler(at), filler(6_000 - at));
        let planted = Planted { sql, secrets: vec!["Kx9qW0vT7".to_owned()], left: String::new() };
        let lines = String::from_utf8(records(Format::PostgresCsvlog, csvlog(&planted.sql).as_bytes(), 2_000)).unwrap();
        assert!(!lines.contains("Kx9qW0vT7"), "{at}: {lines}");
        assert!(lines.contains("\"oversize\""));
    }
}

#[test]
fn parameters_that_take_a_secrets_place_are_secret() {
    for (sql, parameters, secret) in [
        ("SELECT pgp_sym_encrypt($1, $2)", "fine,Kx9qW0vT7", "Kx9qW0vT7"),
        ("UPDATE users SET password = $2 WHERE id = $1", "\"\"\"fi,ne\"\"\",Kx9qW0vT7", "Kx9qW0vT7"),
        ("INSERT INTO users (name, password) VALUES ($1, $2)", "fine,\"\"\"Kx9q,W0vT7\"\"\"", "Kx9q,W0vT7"),
        ("SELECT 1 WHERE $1 = $2", "fine,host=h password=Kx9qW0vT7", "Kx9qW0vT7"),
        ("SELECT $1", "postgres://u:Kx9qW0vT7@h/fine", "Kx9qW0vT7"),
    ] {
        let parameters = parameters.replace("\"\"\"", "\"");
        let message = csv(&format!("AUDIT: SESSION,1,1,READ,SELECT,,,{},{}", csv(sql), csv(&parameters)));
        let log = format!("{CSVLOG}LOG,00000,{message},,,,,,,,,\"psql\",\"client backend\",,0\n");
        let lines = String::from_utf8(records(Format::PostgresCsvlog, log.as_bytes(), WHOLE)).unwrap();
        assert!(!lines.contains(secret), "{lines}");
        let value: Value = serde_json::from_str(&lines).unwrap();
        assert!(value["statement"]["parameters"].to_string().contains(MARK), "{lines}");
        assert!(!parameters.contains("fine") || lines.contains("fi"), "{lines}");
    }
}

#[test]
fn what_is_told_of_a_secret_elsewhere_in_the_row_goes_too() {
    let sql = csv("ALTER ROLE a PASSWORD 'Kx9qW0vT7'");
    for (message, detail) in [
        ("role \"\"Kx9qW0vT7\"\" is odd", ""),
        ("oops", "the words were Kx9qW0vT7, as given"),
        ("syntax error at or near \"\"'Kx9qW0vT7'\"\"", ""),
    ] {
        let log =
            format!("{CSVLOG}ERROR,42601,\"{message}\",\"{detail}\",,,,,{sql},8,,\"psql\",\"client backend\",,0\n");
        let lines = String::from_utf8(records(Format::PostgresCsvlog, log.as_bytes(), WHOLE)).unwrap();
        assert!(!lines.contains("Kx9qW0vT7"), "{lines}");
        assert!(lines.contains("\"echo\""), "{lines}");
    }
    let parameters = "parameters: $1 = 'fine', $2 = 'Kx9q''W0vT7'";
    let log = format!(
        "{CSVLOG}LOG,00000,\"execute <unnamed>: SELECT pgp_sym_encrypt($1, $2)\",{},,,,,,,,\"psql\",\"client backend\",,0\n",
        csv(parameters)
    );
    let lines = String::from_utf8(records(Format::PostgresCsvlog, log.as_bytes(), WHOLE)).unwrap();
    assert!(!lines.contains("W0vT7") && lines.contains("fine"), "{lines}");
}

#[test]
fn statements_without_secrets_stay_as_they_are() {
    for sql in [
        "SELECT u.password FROM users u JOIN l ON u.password = l.password",
        "ALTER ROLE alice PASSWORD NULL",
        "ALTER ROLE a VALID UNTIL 'infinity'",
        "SET SESSION AUTHORIZATION 'fred'",
        "COMMENT ON COLUMN users.password IS 'the hash of it'",
        "ALTER TABLE users ALTER COLUMN password SET NOT NULL, ADD token varchar(20)",
        "CREATE INDEX ON users (password, token)",
        "SELECT 'my password', 'x'",
        "SELECT token, count(*) FROM t WHERE prstoken = 0 GROUP BY token ORDER BY 'x'",
        "SELECT 'https://example.com:8080/a@b', 'http://h/a:b@c', 'user@example.com'",
        "DO $$ BEGIN EXECUTE 'CREATE ROLE a PASSWORD ''' || pw || ''' LOGIN'; END $$",
        "DO $$ BEGIN EXECUTE format('CREATE ROLE %I PASSWORD %L', n, pw); END $$",
        "SELECT identified_by, secrets FROM passwords WHERE pass_count > 4",
        "ALTER ROLE a PASSWORD <REDACTED>",
        "INSERT INTO t VALUES ('password', 'token')",
        "SELECT md5('x'), gen_salt('bf'), encode('x', 'hex')",
    ] {
        let lines = String::from_utf8(records(Format::PostgresCsvlog, csvlog(sql).as_bytes(), WHOLE)).unwrap();
        assert!(!lines.contains(MARK) && !lines.contains("\"redacted\":["), "{sql}\n{lines}");
    }
}

/// Places for a secret in quotes, with what the quoting of it is.
const PLACES: [(&str, &str, Render); 12] = [
    ("ALTER ROLE a PASSWORD '", "' LOGIN", doubled),
    ("ALTER ROLE a PASSWORD $q$", "$q$ LOGIN", verbatim),
    ("DO $$ BEGIN EXECUTE 'ALTER ROLE a PASSWORD ''", "'''; END $$", twice),
    ("CREATE USER MAPPING FOR u SERVER s OPTIONS (user 'x', password '", "')", doubled),
    ("SELECT dblink('host=h password=''", "'' user=u', 'SELECT 1')", twice),
    ("SELECT pgp_sym_encrypt('x', '", "')", doubled),
    ("UPDATE t SET password = '", "' WHERE a = 'b'", doubled),
    ("INSERT INTO t (a, password, b) VALUES ('a', '", "', 'b')", doubled),
    ("SELECT 1 /* password: '", "' */", doubled),
    ("SET a.secret = '", "'", doubled),
    ("ALTER ROL a PASSWORD '", "' (", doubled),
    ("SELECT '{\"password\":", "}'", within_json),
];

fn verbatim(text: &str) -> String {
    text.to_owned()
}

fn doubled(text: &str) -> String {
    text.replace('\'', "''")
}

fn twice(text: &str) -> String {
    doubled(&doubled(text))
}

fn within_json(text: &str) -> String {
    doubled(&json(text))
}

const AROUND: [(&str, &str); 6] = [
    ("", ""),
    ("SELECT 'it''s'; ", "; SELECT 'x'"),
    ("/* a ' b */ ", " -- don't"),
    ("INSERT INTO t VALUES (1, 'a'); ", ""),
    ("SELECT \"a'b\", $$ ' $$; ", "; COMMIT"),
    ("BEGIN;\n\t", ";\nEND;"),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_random_secret_in_a_random_statement_is_gone(
        secret in "[!-#%&(-\\[\\]-~]{8,24}|[a-zA-Z0-9]{6,30}|[a-z']{4}[a-zA-Z0-9']{6,20}[a-z]",
        place in 0..PLACES.len(),
        around in 0..AROUND.len(),
        format in 0usize..5,
    ) {
        let ((before, behind, quote), (opens, closes)) = (PLACES[place], AROUND[around]);
        let sql = format!("{opens}{before}{}{behind}{closes}", quote(&secret));
        let (_, format, render) = FORMATS[format];
        let lines = records(format, render(&sql).as_bytes(), WHOLE);
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let value: Value = serde_json::from_slice(line).unwrap();
            for form in [secret.clone(), quote(&secret)] {
                prop_assert!(!holds(&value, &form), "{:?}: {} of {}\n{}", format, form, sql, String::from_utf8_lossy(line));
            }
        }
    }
}

#[test]
fn the_command_shows_each_text_before_and_after() {
    let folder = tempfile::tempdir().unwrap();
    let (log, config) = (folder.path().join("a.csv"), folder.path().join("sealtrail.toml"));
    fs::write(&log, csvlog("ALTER ROLE a PASSWORD 'Kx9qW0vT7'") + &csvlog("SELECT my_login('a', 'Kx9qW1vT7')"))
        .unwrap();
    fs::write(
        &config,
        "[[source]]\nname = \"a\"\npaths = [\"/x/*.csv\"]\n[redact]\nsecret_arguments = [\"my_login(2)\"]\n",
    )
    .unwrap();
    let run = |arguments: &[&str]| {
        let command = std::process::Command::new(env!("CARGO_BIN_EXE_sealtrail"))
            .args(["redact", "test"])
            .args(arguments)
            .arg(&log)
            .output();
        let output = command.unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let shown = run(&[]);
    assert!(shown.contains("  - statement.text        ALTER ROLE a PASSWORD 'Kx9qW0vT7'\n"), "{shown}");
    assert!(shown.contains("  + statement.text        ALTER ROLE a PASSWORD '[redacted]'\n"), "{shown}");
    assert!(shown.ends_with("\n4 of 8 rows hold something that is taken out\n"), "{shown}");
    assert!(!shown.contains("my_login"), "{shown}");
    let shown = run(&["-c", config.to_str().unwrap(), "--json"]);
    let lines: Vec<Value> = shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 8, "{shown}");
    assert_eq!(lines[4]["changes"][0]["after"], "SELECT my_login('a', '[redacted]')");
    assert_eq!(lines[4]["redacted"], serde_json::json!(["argument"]));
}

#[test]
fn a_secret_that_begins_with_a_quote_is_gone() {
    let secret = "'aaaaaAaa0a";
    for (before, behind, quote) in PLACES {
        let sql = format!("{before}{}{behind}", quote(secret));
        for (_, format, render) in FORMATS.into_iter().take(5) {
            let lines = records(format, render(&sql).as_bytes(), WHOLE);
            for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                let value: Value = serde_json::from_slice(line).unwrap();
                for form in [secret.to_owned(), quote(secret)] {
                    assert!(!holds(&value, &form), "{format:?}: {form} of {sql}\n{}", String::from_utf8_lossy(line));
                }
            }
        }
    }
}
