//! The names of the formats, as users write them in their config.

use std::fmt;
use std::str::FromStr;

/// A native audit log format that this crate reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// PostgreSQL's `log_destination = csvlog`, 22 to 26 columns, 8.4 to 18.
    PostgresCsvlog,
    /// PostgreSQL's `log_destination = jsonlog`, 15 to 18.
    PostgresJsonlog,
    /// MongoDB's `auditLog.format = JSON`, schema `mongo`: Enterprise, and Percona Server for MongoDB.
    MongodbAuditJson,
    /// MongoDB's `auditLog.format = JSON`, schema `OCSF`, 8.0 and later.
    MongodbAuditOcsf,
    /// MongoDB's `auditLog.format = BSON`.
    MongodbAuditBson,
    /// PostgreSQL's `log_destination = stderr`, with any `log_line_prefix`.
    PostgresStderr,
    /// SQL Server's event 33205 of the Windows log, as plain text.
    SqlserverEvent,
    /// SQL Server's event 33205 of the Windows log, as collectors write it in JSON.
    SqlserverEventJson,
    /// SQL Server's `sys.fn_get_audit_file`, exported as CSV.
    SqlserverAuditCsv,
    /// SQL Server's `sys.fn_get_audit_file`, exported as JSON.
    SqlserverAuditJson,
    /// SQL Server's error log on Linux, in UTF-16.
    SqlserverErrorlog,
    /// Oracle's audit by syslog: unified, and traditional.
    OracleSyslog,
    /// Oracle's `audit_trail = OS`: files `*.aud`.
    OracleAud,
    /// Oracle's `audit_trail = XML`.
    OracleXml,
    /// MariaDB's plugin server_audit as a file, and Amazon's fork of it for RDS.
    MariadbAudit,
    /// The audit log of Aurora MySQL: server_audit's columns behind a count of microseconds.
    AuroraAudit,
    /// MariaDB's plugin server_audit in a syslog file.
    MariadbAuditSyslog,
    /// The general query log of MySQL and MariaDB.
    MysqlGeneral,
    /// XML of Percona's audit_log (OLD and NEW), of audit_log_filter and of MySQL Enterprise Audit.
    PerconaAuditXml,
    /// JSON of Percona's audit_log.
    PerconaAuditJson,
    /// CSV of Percona's audit_log.
    PerconaAuditCsv,
    /// JSON of MySQL Enterprise Audit and of Percona's audit_log_filter.
    MysqlAuditJson,
    /// JSON of the audit plugin of Trellix (McAfee).
    TrellixAuditJson,
    /// PostgreSQL's `log_destination = syslog`, as a syslog daemon wrote it to a file.
    PostgresSyslog,
    /// The CSV of the extension pgauditlogtofile, 1.0 to 1.8.
    PgauditlogtofileCsv,
    /// The JSON of the extension pgauditlogtofile, 1.7 and later.
    PgauditlogtofileJson,
    /// The lines of a container runtime for Kubernetes (CRI), around another format.
    Cri,
    /// The lines of Docker's logging driver json-file, around another format.
    DockerJson,
    /// Envelopes of Amazon CloudWatch Logs (subscriptions, Firehose), around another format.
    Cloudwatch,
    /// Decrypted records of Amazon's Database Activity Streams.
    AuroraDas,
    /// Google Cloud's LogEntry of Cloud SQL and AlloyDB.
    Cloudsql,
    /// Diagnostic logs of Azure's databases.
    Azure,
    /// PostgreSQL's log as the operator CloudNativePG writes it.
    Cloudnativepg,
    /// Bytebase's audit log on standard output.
    BytebaseAudit,
    /// Teleport's audit events.
    TeleportAudit,
}

impl Format {
    /// Every format, in the order in which lists show them.
    pub const ALL: [Format; 35] = [
        Format::PostgresCsvlog,
        Format::PostgresJsonlog,
        Format::MongodbAuditJson,
        Format::MongodbAuditOcsf,
        Format::MongodbAuditBson,
        Format::PostgresStderr,
        Format::SqlserverEvent,
        Format::SqlserverEventJson,
        Format::SqlserverAuditCsv,
        Format::SqlserverAuditJson,
        Format::SqlserverErrorlog,
        Format::OracleSyslog,
        Format::OracleAud,
        Format::OracleXml,
        Format::MariadbAudit,
        Format::AuroraAudit,
        Format::MariadbAuditSyslog,
        Format::MysqlGeneral,
        Format::PerconaAuditXml,
        Format::PerconaAuditJson,
        Format::PerconaAuditCsv,
        Format::MysqlAuditJson,
        Format::TrellixAuditJson,
        Format::PostgresSyslog,
        Format::PgauditlogtofileCsv,
        Format::PgauditlogtofileJson,
        Format::Cri,
        Format::DockerJson,
        Format::Cloudwatch,
        Format::AuroraDas,
        Format::Cloudsql,
        Format::Azure,
        Format::Cloudnativepg,
        Format::BytebaseAudit,
        Format::TeleportAudit,
    ];

    /// Whether a row's time may be that of syslog's old protocol, which has no year.
    pub const fn may_lack_years(self) -> bool {
        matches!(self, Format::MariadbAuditSyslog | Format::PostgresSyslog | Format::OracleSyslog)
    }

    /// Whether [`crate::parse`] may call a frame of it a [`crate::Parsed::Piece`].
    pub const fn comes_in_pieces(self) -> bool {
        matches!(
            self,
            Format::MariadbAudit
                | Format::AuroraAudit
                | Format::MariadbAuditSyslog
                | Format::PostgresSyslog
                | Format::SqlserverEvent
                | Format::SqlserverEventJson
                | Format::SqlserverAuditCsv
                | Format::SqlserverAuditJson
                | Format::Cri
                | Format::DockerJson
                | Format::Cloudwatch
                | Format::Cloudsql
        )
    }

    /// The name that users write.
    pub const fn name(self) -> &'static str {
        match self {
            Format::PostgresCsvlog => "postgres-csvlog",
            Format::PostgresJsonlog => "postgres-jsonlog",
            Format::MongodbAuditJson => "mongodb-audit-json",
            Format::MongodbAuditOcsf => "mongodb-audit-ocsf",
            Format::MongodbAuditBson => "mongodb-audit-bson",
            Format::PostgresStderr => "postgres-stderr",
            Format::SqlserverEvent => "sqlserver-event",
            Format::SqlserverEventJson => "sqlserver-event-json",
            Format::SqlserverAuditCsv => "sqlserver-audit-csv",
            Format::SqlserverAuditJson => "sqlserver-audit-json",
            Format::SqlserverErrorlog => "sqlserver-errorlog",
            Format::OracleSyslog => "oracle-syslog",
            Format::OracleAud => "oracle-aud",
            Format::OracleXml => "oracle-xml",
            Format::MariadbAudit => "mariadb-audit",
            Format::AuroraAudit => "aurora-audit",
            Format::MariadbAuditSyslog => "mariadb-audit-syslog",
            Format::MysqlGeneral => "mysql-general",
            Format::PerconaAuditXml => "percona-audit-xml",
            Format::PerconaAuditJson => "percona-audit-json",
            Format::PerconaAuditCsv => "percona-audit-csv",
            Format::MysqlAuditJson => "mysql-audit-json",
            Format::TrellixAuditJson => "trellix-audit-json",
            Format::PostgresSyslog => "postgres-syslog",
            Format::PgauditlogtofileCsv => "pgauditlogtofile-csv",
            Format::PgauditlogtofileJson => "pgauditlogtofile-json",
            Format::Cri => "cri",
            Format::DockerJson => "docker-json",
            Format::Cloudwatch => "cloudwatch",
            Format::AuroraDas => "aurora-das",
            Format::Cloudsql => "cloudsql",
            Format::Azure => "azure",
            Format::Cloudnativepg => "cloudnativepg",
            Format::BytebaseAudit => "bytebase-audit",
            Format::TeleportAudit => "teleport-audit",
        }
    }

    /// The database engine that writes it.
    pub const fn engine(self) -> &'static str {
        match self {
            Format::PostgresCsvlog | Format::PostgresJsonlog => "postgresql",
            Format::PostgresStderr | Format::PostgresSyslog => "postgresql",
            Format::PgauditlogtofileCsv | Format::PgauditlogtofileJson => "postgresql",
            Format::MongodbAuditJson | Format::MongodbAuditOcsf | Format::MongodbAuditBson => "mongodb",
            Format::SqlserverEvent
            | Format::SqlserverEventJson
            | Format::SqlserverAuditCsv
            | Format::SqlserverAuditJson
            | Format::SqlserverErrorlog => "sqlserver",
            Format::OracleSyslog | Format::OracleAud | Format::OracleXml => "oracle",
            Format::MariadbAudit | Format::MariadbAuditSyslog => "mariadb",
            Format::AuroraAudit
            | Format::MysqlGeneral
            | Format::PerconaAuditXml
            | Format::PerconaAuditJson
            | Format::PerconaAuditCsv
            | Format::MysqlAuditJson
            | Format::TrellixAuditJson => "mysql",
            Format::Cri => "kubernetes",
            Format::DockerJson => "docker",
            Format::Cloudwatch => "aws",
            Format::AuroraDas => "aws",
            Format::Cloudsql => "google-cloud",
            Format::Azure => "azure",
            Format::Cloudnativepg => "postgresql",
            Format::BytebaseAudit => "bytebase",
            Format::TeleportAudit => "teleport",
        }
    }
}

impl Format {
    /// Whether a row may hold any number of zero bytes, one after the other. In text there are none: they are a hole in the file.
    pub const fn holds_zeros(self) -> bool {
        matches!(self, Format::MongodbAuditBson)
    }

    /// Whether it carries rows of another format, of which an operator may say which it is.
    pub const fn is_carrier(self) -> bool {
        matches!(self, Format::Cri | Format::DockerJson | Format::Cloudwatch | Format::Cloudsql | Format::Azure)
    }

    /// Whether a carrier may hold it: its rows are lines, or the first line tells where each begins.
    pub const fn is_carried(self) -> bool {
        let is_file = matches!(
            self,
            Format::MongodbAuditBson
                | Format::SqlserverErrorlog
                | Format::SqlserverAuditCsv
                | Format::OracleXml
                | Format::PerconaAuditXml
                | Format::AuroraDas
        );
        !is_file && !self.is_carrier()
    }

    /// What it is, in a line for a list.
    pub const fn about(self) -> &'static str {
        match self {
            Format::PostgresCsvlog => "PostgreSQL 8.4 to 18: log_destination = csvlog, with or without pgAudit",
            Format::PostgresJsonlog => "PostgreSQL 15 to 18: log_destination = jsonlog, with or without pgAudit",
            Format::MongodbAuditJson => {
                "MongoDB Enterprise, Percona Server for MongoDB: audit log, format JSON, schema mongo"
            }
            Format::MongodbAuditOcsf => "MongoDB Enterprise 8.0 and later: audit log, format JSON, schema OCSF",
            Format::MongodbAuditBson => "MongoDB Enterprise, Percona Server for MongoDB: audit log, format BSON",
            Format::PostgresStderr => "PostgreSQL 8.4 to 18: log_destination = stderr, with any log_line_prefix",
            Format::SqlserverEvent => "SQL Server: audit to the Windows log, event 33205, as plain text",
            Format::SqlserverEventJson => {
                "SQL Server: audit to the Windows log, event 33205, as Winlogbeat or NXLog writes it"
            }
            Format::SqlserverAuditCsv => "SQL Server: rows of sys.fn_get_audit_file as CSV, all columns",
            Format::SqlserverAuditJson => "SQL Server: rows of sys.fn_get_audit_file as JSON",
            Format::SqlserverErrorlog => "SQL Server on Linux: the error log, for logins and failed logins",
            Format::OracleSyslog => "Oracle: audit by syslog, unified (18c and later) and traditional",
            Format::OracleAud => "Oracle: audit_trail = OS, and what SYS does: files *.aud",
            Format::OracleXml => "Oracle: audit_trail = XML, with or without EXTENDED",
            Format::MariadbAudit => "MariaDB's plugin server_audit as a file, also of Amazon RDS",
            Format::AuroraAudit => "Aurora MySQL: the audit log, server_audit's columns behind a count of microseconds",
            Format::MariadbAuditSyslog => "MariaDB's plugin server_audit in a syslog file",
            Format::MysqlGeneral => {
                "the general query log of MySQL and MariaDB: what was asked for, not what became of it"
            }
            Format::PerconaAuditXml => {
                "Percona audit_log, audit_log_filter and MySQL Enterprise Audit as XML, OLD or NEW"
            }
            Format::PerconaAuditJson => "Percona audit_log as JSON, an object a line",
            Format::PerconaAuditCsv => "Percona audit_log as CSV",
            Format::MysqlAuditJson => {
                "MySQL Enterprise Audit and Percona audit_log_filter as JSON, in an array or an object a line"
            }
            Format::TrellixAuditJson => "the audit plugin of Trellix (McAfee) for MySQL and MariaDB, an object a line",
            Format::PostgresSyslog => "PostgreSQL 8.4 to 18: log_destination = syslog, RFC 3164 and RFC 5424 files",
            Format::PgauditlogtofileCsv => "PostgreSQL: the extension pgauditlogtofile, format CSV, 1.0 to 1.8",
            Format::PgauditlogtofileJson => "PostgreSQL: the extension pgauditlogtofile, format JSON, 1.7 and later",
            Format::Cri => "Kubernetes' container runtimes (CRI): a program's lines, around rows of another format",
            Format::DockerJson => "Docker's logging driver json-file: a program's lines, around rows of another format",
            Format::Cloudwatch => {
                "Amazon CloudWatch Logs: envelopes of a subscription or of Firehose, plain or packed, around rows of another format"
            }
            Format::AuroraDas => "Amazon Database Activity Streams: decrypted records",
            Format::Cloudsql => {
                "Google Cloud SQL and AlloyDB: LogEntry of data-access audit logs and of the server's log"
            }
            Format::Azure => {
                "Azure Database for PostgreSQL and MySQL, Azure SQL: diagnostic logs, in records or one a line"
            }
            Format::Cloudnativepg => "CloudNativePG: PostgreSQL's log as JSON, with or without pgAudit",
            Format::BytebaseAudit => "Bytebase: audit log on standard output",
            Format::TeleportAudit => "Teleport: audit events of database sessions and access requests",
        }
    }

    /// Whether a row's texts are decoded from other bytes than a client wrote: from UTF-16, or out of an envelope that was packed.
    pub const fn is_decoded(self) -> bool {
        match self {
            Format::PostgresCsvlog | Format::PostgresJsonlog => false,
            Format::MongodbAuditJson | Format::MongodbAuditOcsf => false,
            Format::PostgresStderr => false,
            Format::MongodbAuditBson | Format::SqlserverErrorlog => true,
            Format::OracleSyslog | Format::OracleAud | Format::OracleXml => false,
            Format::SqlserverEvent
            | Format::SqlserverEventJson
            | Format::SqlserverAuditCsv
            | Format::SqlserverAuditJson => false,
            Format::MariadbAudit
            | Format::AuroraAudit
            | Format::MariadbAuditSyslog
            | Format::MysqlGeneral
            | Format::PerconaAuditXml
            | Format::PerconaAuditJson
            | Format::PerconaAuditCsv
            | Format::MysqlAuditJson
            | Format::TrellixAuditJson => false,
            Format::PostgresSyslog | Format::PgauditlogtofileCsv | Format::PgauditlogtofileJson => false,
            Format::Cloudwatch => true,
            Format::Cri | Format::DockerJson | Format::AuroraDas | Format::Cloudsql | Format::Azure => false,
            Format::Cloudnativepg | Format::BytebaseAudit | Format::TeleportAudit => false,
        }
    }

    /// Whether what a client chooses can look like a row's frame: rows of such a format carry the flag `forgeable`.
    pub const fn is_forgeable(self) -> bool {
        match self {
            Format::PostgresCsvlog | Format::PostgresJsonlog => false,
            Format::MongodbAuditJson | Format::MongodbAuditOcsf | Format::MongodbAuditBson => false,
            Format::PostgresStderr => true,
            Format::SqlserverEvent | Format::SqlserverErrorlog => true,
            Format::OracleSyslog => true,
            Format::OracleAud | Format::OracleXml => false,
            Format::SqlserverEventJson | Format::SqlserverAuditCsv | Format::SqlserverAuditJson => false,
            Format::MariadbAudit | Format::AuroraAudit | Format::MariadbAuditSyslog | Format::MysqlGeneral => true,
            Format::PerconaAuditXml
            | Format::PerconaAuditJson
            | Format::PerconaAuditCsv
            | Format::MysqlAuditJson
            | Format::TrellixAuditJson => false,
            Format::PostgresSyslog => true,
            // Up to 1.6 nothing is quoted.
            Format::PgauditlogtofileCsv => true,
            Format::PgauditlogtofileJson => false,
            // What stands inside may be: then its own rows say so.
            Format::Cri | Format::DockerJson | Format::Cloudwatch | Format::Cloudsql | Format::Azure => false,
            Format::AuroraDas | Format::Cloudnativepg | Format::BytebaseAudit | Format::TeleportAudit => false,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        Format::ALL.into_iter().find(|format| format.name() == name).ok_or(UnknownFormat)
    }
}

/// The name is none of [`Format::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownFormat;

impl fmt::Display for UnknownFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no such format")
    }
}

impl std::error::Error for UnknownFormat {}
