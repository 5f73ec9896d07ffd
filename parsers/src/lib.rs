//! Native database audit logs, bytes to records.
//!
//! A format is two total functions. *Framing* ([`Framer::next`]) finds where a record ends; *parsing* ([`parse`])
//! says what a record holds. Neither does I/O, neither fails, neither panics, whatever the bytes: what cannot be
//! understood is still handed out, with the reason beside it.
//!
//! Everything borrows from the frame or from a [`Scratch`] that the caller keeps between rows: a row costs no
//! allocation.

pub mod aurora_das;
pub mod azure;
pub mod blocks;
pub mod braces;
pub mod bytebase;
pub mod cloudnativepg;
pub mod cloudwatch;
mod container;
pub mod cri;
pub mod csvlog;
pub mod cut;
pub mod detect;
pub mod dialect;
mod digits;
pub mod docker_json;
pub mod elements;
pub mod extra;
pub mod format;
pub mod frame;
pub mod cloudsql;
pub mod general_log;
mod inside;
mod json;
pub mod jsonlog;
pub mod lines;
mod members;
pub mod mongodb;
pub mod mysql_audit;
mod near;
pub mod objects;
pub mod oracle;
pub mod pgaudit;
pub mod pgaudit_file;
mod postgres;
pub mod postgres_prefix;
pub mod postgres_stderr;
pub mod postgres_syslog;
mod postgres_words;
mod quoted;
pub mod record;
mod rest;
pub mod scratch;
pub mod server_audit;
pub mod sqlserver;
pub mod teleport;
mod times;

pub use cut::Cut;
pub use detect::{Detection, detect, detect_inside, dialect_of, packed};
pub use dialect::Dialect;
pub use format::Format;
pub use frame::{Frame, Framer};
pub use record::{Act, Client, Object, Parameters, Parsed, Piece, Record, Session, Span, Statement, Status, Value};
pub use scratch::Scratch;

/// Says what one whole frame holds.
///
/// `frame` is what [`Framer::next`] called a record, terminator included or not.
pub fn parse<'a>(dialect: &Dialect, frame: &'a [u8], scratch: &'a mut Scratch) -> Parsed<'a> {
    match dialect.format {
        Format::PostgresCsvlog => csvlog::parse(frame, scratch),
        Format::PostgresJsonlog => jsonlog::parse(frame, scratch),
        Format::MongodbAuditJson => mongodb::parse(frame, scratch),
        Format::MongodbAuditOcsf => mongodb::ocsf::parse(frame, scratch),
        Format::MongodbAuditBson => mongodb::bson::parse(frame, scratch),
        Format::PostgresStderr => postgres_stderr::parse(dialect, frame, scratch),
        Format::SqlserverEvent => sqlserver::text::parse(frame, scratch),
        Format::SqlserverEventJson => sqlserver::eventlog::parse(frame, scratch),
        Format::SqlserverAuditCsv => sqlserver::csv::parse(frame, scratch),
        Format::SqlserverAuditJson => sqlserver::json::parse(frame, scratch),
        Format::SqlserverErrorlog => sqlserver::errorlog::parse(frame, scratch),
        Format::OracleSyslog => oracle::syslog::parse(frame, scratch),
        Format::OracleAud => oracle::aud::parse(frame, scratch),
        Format::OracleXml => oracle::xml::parse(frame, scratch),
        Format::MariadbAudit | Format::AuroraAudit => server_audit::parse(frame, scratch),
        Format::MariadbAuditSyslog => server_audit::syslog::parse(frame, scratch),
        Format::MysqlGeneral => general_log::parse(frame, scratch),
        Format::PerconaAuditXml => mysql_audit::xml::parse(frame, scratch),
        Format::PerconaAuditJson => mysql_audit::percona_json::parse(frame, scratch),
        Format::PerconaAuditCsv => mysql_audit::csv::parse(frame, scratch),
        Format::MysqlAuditJson => mysql_audit::json::parse(frame, scratch),
        Format::TrellixAuditJson => mysql_audit::trellix::parse(frame, scratch),
        Format::PostgresSyslog => postgres_syslog::parse(dialect, frame, scratch),
        Format::PgauditlogtofileCsv => pgaudit_file::parse(frame, scratch),
        Format::PgauditlogtofileJson => pgaudit_file::json::parse(frame, scratch),
        Format::Cri => cri::parse(dialect, frame, scratch),
        Format::DockerJson => docker_json::parse(dialect, frame, scratch),
        Format::Cloudwatch => cloudwatch::parse(dialect, frame, scratch),
        Format::AuroraDas => aurora_das::parse(frame),
        Format::Cloudsql => cloudsql::parse(dialect, frame, scratch),
        Format::Azure => azure::parse(dialect, frame, scratch),
        Format::Cloudnativepg => cloudnativepg::parse(frame, scratch),
        Format::BytebaseAudit => bytebase::parse(frame, scratch),
        Format::TeleportAudit => teleport::parse(frame, scratch),
    }
}

/// Says what a frame holds that [`parse`] called [`Parsed::Several`], row by row in their order.
pub fn each(dialect: &Dialect, frame: &[u8], scratch: &mut Scratch, row: &mut dyn FnMut(Parsed<'_>)) {
    match dialect.format {
        Format::PostgresStderr => postgres_stderr::each(dialect, frame, scratch, row),
        Format::Cloudwatch => cloudwatch::each(dialect, frame, scratch, row),
        Format::AuroraDas => aurora_das::each(frame, scratch, row),
        Format::Cloudsql => cloudsql::each(dialect, frame, scratch, row),
        Format::Azure => azure::each(dialect, frame, scratch, row),
        // Formats whose frames hold one row.
        _ => row(parse(dialect, frame, scratch)),
    }
}

/// Says what the frames of one row hold that [`parse`] called [`Parsed::Piece`], in the order in which they stand in the file.
///
/// `complete` says that its last piece is there, or a later row of its writer; else nobody waits for it any longer. What comes out is
/// never a piece, and says in its flags what it lacks. [`Parsed::Several`]: frames of which each holds several rows; see [`each_of`].
pub fn assemble<'a>(dialect: &Dialect, frames: &[&'a [u8]], complete: bool, scratch: &'a mut Scratch) -> Parsed<'a> {
    match (dialect.format, frames, complete) {
        (_, [], _) => Parsed::Nothing { what: "no bytes" },
        (Format::SqlserverEvent, ..) => sqlserver::text::assemble(frames, complete, scratch),
        (Format::SqlserverEventJson, ..) => sqlserver::eventlog::assemble(frames, complete, scratch),
        (Format::SqlserverAuditCsv, ..) => sqlserver::csv::assemble(frames, complete, scratch),
        (Format::SqlserverAuditJson, ..) => sqlserver::json::assemble(frames, complete, scratch),
        (Format::MariadbAudit | Format::AuroraAudit, frames, _) => server_audit::assemble(frames, scratch),
        (Format::MariadbAuditSyslog, frames, _) => server_audit::syslog::assemble(frames, scratch),
        (Format::PostgresSyslog, frames, _) => postgres_syslog::assemble(dialect, frames, scratch),
        (Format::Cri, frames, _) => cri::assemble(dialect, frames, scratch),
        (Format::DockerJson, frames, _) => docker_json::assemble(dialect, frames, scratch),
        (Format::Cloudwatch, ..) => Parsed::Several,
        (Format::Cloudsql, frames, complete) => cloudsql::assemble(dialect, frames, complete, scratch),
        // Formats whose rows are never in pieces.
        (_, [frame, ..], _) => parse(dialect, frame, scratch),
    }
}

/// Says what frames hold that [`assemble`] called [`Parsed::Several`], row by row in their order, and where each stands.
pub fn each_of(dialect: &Dialect, frames: &[&[u8]], scratch: &mut Scratch, row: &mut dyn FnMut(Parsed<'_>, Span)) {
    match (dialect.format, frames) {
        (Format::Cloudwatch, frames) => cloudwatch::each_of(dialect, frames, scratch, row),
        // Formats whose pieces make one row.
        (_, frames) => row(assemble(dialect, frames, true, scratch), Span::default()),
    }
}

/// Where in `bytes` a true record starts behind the first byte: what stands before it belongs to another. Inside a whole record none
/// is found, whatever its texts hold.
pub fn next_record(dialect: &Dialect, bytes: &[u8]) -> Option<usize> {
    match dialect.format {
        Format::PostgresCsvlog => csvlog::next_record(bytes),
        Format::PostgresJsonlog => jsonlog::next_record(bytes),
        Format::MongodbAuditJson => mongodb::next_record(bytes),
        Format::MongodbAuditOcsf => mongodb::ocsf::next_record(bytes),
        Format::MongodbAuditBson => mongodb::bson::next_record(bytes),
        Format::PostgresStderr => postgres_stderr::next_record(dialect, bytes),
        Format::SqlserverEvent => sqlserver::text::next_record(bytes),
        Format::SqlserverEventJson => sqlserver::eventlog::next_record(bytes),
        Format::SqlserverErrorlog => sqlserver::errorlog::next_record(bytes),
        // A row is a line, and begins in no other way.
        Format::OracleSyslog => None,
        Format::OracleAud => oracle::aud::next_record(bytes),
        Format::OracleXml => oracle::xml::next_record(bytes),
        // Half a row shows itself to the framer; in JSON nothing tells a row from a text's imitation.
        Format::SqlserverAuditCsv | Format::SqlserverAuditJson => None,
        Format::PerconaAuditXml => mysql_audit::xml::next_record(bytes),
        Format::PerconaAuditJson => mysql_audit::percona_json::next_record(bytes),
        Format::PerconaAuditCsv => mysql_audit::csv::next_record(bytes),
        Format::TrellixAuditJson => mysql_audit::trellix::next_record(bytes),
        Format::MariadbAudit | Format::AuroraAudit | Format::MariadbAuditSyslog => None,
        Format::MysqlGeneral | Format::MysqlAuditJson => None,
        Format::PostgresSyslog => None,
        Format::PgauditlogtofileCsv => pgaudit_file::next_record(bytes),
        Format::PgauditlogtofileJson => None,
        // A line feed ends a record, and none stands inside.
        Format::Cri => None,
        Format::DockerJson => docker_json::next_record(bytes),
        Format::Cloudwatch => cloudwatch::next_record(bytes),
        Format::AuroraDas => aurora_das::next_record(bytes),
        Format::Cloudsql => cloudsql::next_record(bytes),
        Format::Azure => azure::next_record(bytes),
        Format::Cloudnativepg => cloudnativepg::next_record(bytes),
        Format::BytebaseAudit => bytebase::next_record(bytes),
        Format::TeleportAudit => teleport::next_record(bytes),
    }
}
