//! Framing: where a record ends.
//!
//! Owns the choice of framer by format and the contract that all framers keep; the grammars are in the formats'
//! own files.

use crate::{
    Dialect, Format, blocks, braces, bytebase, cloudnativepg, cri, csvlog, docker_json, elements, general_log, jsonlog,
    lines, mongodb, mysql_audit, objects, oracle, pgaudit_file, postgres_stderr, postgres_syslog, server_audit,
    sqlserver, teleport,
};

/// What stands at the start of the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// `buf[..len]` is one whole record, its terminator included.
    Record {
        /// In bytes, at least 1.
        len: usize,
    },
    /// `buf[..len]` belongs to no record: a torn row, the middle of one, bytes of something else.
    Damaged {
        /// In bytes, at least 1.
        len: usize,
        /// Why, for a person: a lower-case fragment.
        reason: &'static str,
    },
    /// `buf[..len]` is a whole record unless more of it follows: nothing marks its end. Take it, and call [`Framer::close`], when nothing
    /// was appended for a while; else call again with more bytes.
    Open {
        /// In bytes, at least 1.
        len: usize,
    },
    /// The record at the start of the buffer is not whole yet: call again with more bytes after these.
    Incomplete,
}

/// Finds record ends in a file that is read piece by piece.
///
/// It remembers how far it has looked into the unfinished record, so that a record which arrives in a thousand
/// pieces is still looked at once. It holds no bytes.
#[derive(Debug, Clone)]
pub enum Framer {
    /// See [`csvlog::CsvFramer`].
    Csvlog(csvlog::CsvFramer),
    /// See [`lines::LineFramer`].
    Lines(lines::LineFramer),
    /// See [`blocks::BlockFramer`].
    Blocks(blocks::BlockFramer),
    /// See [`pgaudit_file::framer::RowFramer`].
    AuditRows(pgaudit_file::framer::RowFramer),
    /// See [`objects::ObjectFramer`].
    Objects(objects::ObjectFramer),
    /// See [`braces::BraceFramer`].
    Braces(braces::BraceFramer),
    /// See [`mongodb::bson::BsonFramer`].
    Bson(mongodb::bson::BsonFramer),
    /// See [`sqlserver::csv::CsvRowFramer`].
    CsvRows(sqlserver::csv::CsvRowFramer),
    /// See [`sqlserver::errorlog::ErrorlogFramer`].
    Errorlog(sqlserver::errorlog::ErrorlogFramer),
    /// See [`oracle::aud::AudFramer`].
    Aud(oracle::aud::AudFramer),
    /// See [`oracle::xml::RecordFramer`].
    AuditRecords(oracle::xml::RecordFramer),
    /// See [`elements::ElementFramer`].
    Elements(elements::ElementFramer),
    /// See [`mysql_audit::csv::RowFramer`].
    Quoted(mysql_audit::csv::RowFramer),
}

impl Framer {
    /// A framer for a file that is read from its first byte, or from a known record start.
    pub fn new(dialect: &Dialect) -> Self {
        match dialect.format {
            Format::PostgresCsvlog => Framer::Csvlog(csvlog::CsvFramer::default()),
            Format::PostgresJsonlog => Framer::Lines(lines::LineFramer::new(&jsonlog::LINES)),
            Format::MongodbAuditJson | Format::MongodbAuditOcsf => Framer::Braces(braces::BraceFramer::default()),
            Format::MongodbAuditBson => Framer::Bson(mongodb::bson::BsonFramer::default()),
            Format::PostgresStderr => Framer::Blocks(postgres_stderr::framer(dialect)),
            Format::SqlserverEvent => Framer::Blocks(sqlserver::text::framer()),
            Format::SqlserverEventJson => Framer::Braces(braces::BraceFramer::default()),
            Format::SqlserverAuditCsv => Framer::CsvRows(sqlserver::csv::CsvRowFramer::default()),
            Format::SqlserverAuditJson => Framer::Objects(objects::ObjectFramer::default()),
            Format::SqlserverErrorlog => Framer::Errorlog(sqlserver::errorlog::ErrorlogFramer::default()),
            Format::OracleSyslog => Framer::Lines(lines::LineFramer::new(&oracle::syslog::LINES)),
            Format::OracleAud => Framer::Aud(oracle::aud::AudFramer::default()),
            Format::OracleXml => Framer::AuditRecords(oracle::xml::RecordFramer::default()),
            Format::MariadbAudit | Format::AuroraAudit => server_audit::framer(),
            Format::MariadbAuditSyslog => Framer::Lines(lines::LineFramer::new(&server_audit::syslog::LINES)),
            Format::MysqlGeneral => general_log::framer(),
            Format::PerconaAuditXml => {
                let (start, end) = (mysql_audit::xml::START, mysql_audit::xml::END);
                Framer::Elements(elements::ElementFramer::new(start, end))
            }
            Format::PerconaAuditJson => Framer::Lines(lines::LineFramer::new(&mysql_audit::percona_json::LINES)),
            Format::PerconaAuditCsv => Framer::Quoted(mysql_audit::csv::RowFramer::new()),
            Format::MysqlAuditJson => Framer::Objects(objects::ObjectFramer::default()),
            Format::TrellixAuditJson => Framer::Lines(lines::LineFramer::new(&mysql_audit::trellix::LINES)),
            Format::PostgresSyslog => Framer::Lines(lines::LineFramer::new(&postgres_syslog::LINES)),
            Format::PgauditlogtofileCsv => Framer::AuditRows(pgaudit_file::framer::RowFramer::default()),
            Format::PgauditlogtofileJson => Framer::Lines(lines::LineFramer::new(&pgaudit_file::json::LINES)),
            Format::Cri => Framer::Lines(lines::LineFramer::new(&cri::LINES)),
            Format::DockerJson => Framer::Lines(lines::LineFramer::new(&docker_json::LINES)),
            Format::Cloudnativepg => Framer::Lines(lines::LineFramer::new(&cloudnativepg::LINES)),
            Format::BytebaseAudit => Framer::Lines(lines::LineFramer::new(&bytebase::LINES)),
            Format::TeleportAudit => Framer::Lines(lines::LineFramer::new(&teleport::LINES)),
            Format::Cloudwatch | Format::AuroraDas | Format::Cloudsql | Format::Azure => {
                Framer::Objects(objects::ObjectFramer::default())
            }
        }
    }

    /// A framer for a file that is entered at an arbitrary byte: what comes before the first true record start is
    /// handed out as damaged.
    pub fn mid_file(dialect: &Dialect) -> Self {
        match dialect.format {
            Format::PostgresCsvlog => Framer::Csvlog(csvlog::CsvFramer::mid_file()),
            Format::PostgresJsonlog => Framer::Lines(lines::LineFramer::mid_file(&jsonlog::LINES)),
            Format::MongodbAuditJson | Format::MongodbAuditOcsf => Framer::Braces(braces::BraceFramer::mid_file()),
            Format::MongodbAuditBson => Framer::Bson(mongodb::bson::BsonFramer::mid_file()),
            Format::PostgresStderr => Framer::Blocks(postgres_stderr::framer_mid_file(dialect)),
            Format::SqlserverEvent => Framer::Blocks(sqlserver::text::framer_mid_file()),
            Format::SqlserverEventJson => Framer::Braces(braces::BraceFramer::mid_file()),
            Format::SqlserverAuditCsv => Framer::CsvRows(sqlserver::csv::CsvRowFramer::mid_file()),
            Format::SqlserverAuditJson => Framer::Objects(objects::ObjectFramer::mid_file()),
            Format::SqlserverErrorlog => Framer::Errorlog(sqlserver::errorlog::ErrorlogFramer::mid_file()),
            Format::OracleSyslog => Framer::Lines(lines::LineFramer::mid_file(&oracle::syslog::LINES)),
            Format::OracleAud => Framer::Aud(oracle::aud::AudFramer::mid_file()),
            Format::OracleXml => Framer::AuditRecords(oracle::xml::RecordFramer::mid_file()),
            Format::MariadbAudit | Format::AuroraAudit => server_audit::mid_file(),
            Format::MariadbAuditSyslog => Framer::Lines(lines::LineFramer::mid_file(&server_audit::syslog::LINES)),
            Format::MysqlGeneral => general_log::mid_file(),
            Format::PerconaAuditXml => {
                let (start, end) = (mysql_audit::xml::START, mysql_audit::xml::END);
                Framer::Elements(elements::ElementFramer::mid_file(start, end))
            }
            Format::PerconaAuditJson => Framer::Lines(lines::LineFramer::mid_file(&mysql_audit::percona_json::LINES)),
            Format::PerconaAuditCsv => Framer::Quoted(mysql_audit::csv::RowFramer::mid_file()),
            Format::MysqlAuditJson => Framer::Objects(objects::ObjectFramer::mid_file()),
            Format::TrellixAuditJson => Framer::Lines(lines::LineFramer::mid_file(&mysql_audit::trellix::LINES)),
            Format::PostgresSyslog => Framer::Lines(lines::LineFramer::mid_file(&postgres_syslog::LINES)),
            Format::PgauditlogtofileCsv => Framer::AuditRows(pgaudit_file::framer::RowFramer::mid_file()),
            Format::PgauditlogtofileJson => Framer::Lines(lines::LineFramer::mid_file(&pgaudit_file::json::LINES)),
            Format::Cri => Framer::Lines(lines::LineFramer::mid_file(&cri::LINES)),
            Format::DockerJson => Framer::Lines(lines::LineFramer::mid_file(&docker_json::LINES)),
            Format::Cloudnativepg => Framer::Lines(lines::LineFramer::mid_file(&cloudnativepg::LINES)),
            Format::BytebaseAudit => Framer::Lines(lines::LineFramer::mid_file(&bytebase::LINES)),
            Format::TeleportAudit => Framer::Lines(lines::LineFramer::mid_file(&teleport::LINES)),
            Format::Cloudwatch | Format::AuroraDas | Format::Cloudsql | Format::Azure => {
                Framer::Objects(objects::ObjectFramer::mid_file())
            }
        }
    }

    /// Looks at `buf`, which begins at the first byte not handed out before and holds all that the previous call
    /// saw and did not hand out. `end` says that nothing will ever follow `buf`.
    ///
    /// After `Record` or `Damaged` the caller drops those `len` bytes from the front. With `end` and a `buf` that is not empty the
    /// answer is neither `Incomplete` nor `Open`. The records found do not depend on how the file was cut into pieces.
    pub fn next(&mut self, buf: &[u8], end: bool) -> Frame {
        match self {
            Framer::Csvlog(framer) => framer.next(buf, end),
            Framer::Lines(framer) => framer.next(buf, end),
            Framer::Blocks(framer) => framer.next(buf, end),
            Framer::AuditRows(framer) => framer.next(buf, end),
            Framer::Objects(framer) => framer.next(buf, end),
            Framer::Braces(framer) => framer.next(buf, end),
            Framer::Bson(framer) => framer.next(buf, end),
            Framer::CsvRows(framer) => framer.next(buf, end),
            Framer::Errorlog(framer) => framer.next(buf, end),
            Framer::Aud(framer) => framer.next(buf, end),
            Framer::AuditRecords(framer) => framer.next(buf, end),
            Framer::Elements(framer) => framer.next(buf, end),
            Framer::Quoted(framer) => framer.next(buf, end),
        }
    }

    /// Tells that the caller has taken what the last call found [`Frame::Open`]: what follows is not of that record.
    pub fn close(&mut self) {
        match self {
            Framer::Blocks(framer) => framer.close(),
            Framer::AuditRows(framer) => framer.close(),
            Framer::Errorlog(framer) => framer.close(),
            Framer::Aud(framer) => framer.close(),
            Framer::AuditRecords(_) => {}
            // All others know where a record ends.
            _ => {}
        }
    }

    /// Tells that the caller has dropped the first `len` bytes of what the last call found `Incomplete`: the record is
    /// larger than the caller keeps, and only its end matters now.
    ///
    /// The next call sees the bytes after these, and the `len` of its `Record` counts from there. Keep the last
    /// [`LOOK_BACK`] bytes: should the record turn out to be torn, the next one's first bytes may be among them.
    pub fn discard(&mut self, len: usize) {
        match self {
            Framer::Csvlog(framer) => framer.discard(len),
            Framer::Lines(framer) => framer.discard(len),
            Framer::Blocks(framer) => framer.discard(len),
            Framer::AuditRows(framer) => framer.discard(len),
            Framer::Objects(framer) => framer.discard(len),
            Framer::Braces(framer) => framer.discard(len),
            Framer::Bson(framer) => framer.discard(len),
            Framer::CsvRows(framer) => framer.discard(len),
            Framer::Errorlog(framer) => framer.discard(len),
            Framer::Aud(framer) => framer.discard(len),
            Framer::AuditRecords(framer) => framer.discard(len),
            Framer::Elements(framer) => framer.discard(len),
            Framer::Quoted(framer) => framer.discard(len),
        }
    }
}

/// How many bytes of an unfinished record to keep behind [`Framer::discard`]: more than it may take to tell that another begins there,
/// so that none begins at the first of them.
pub const LOOK_BACK: usize = 33 * 1024;

/// The longest damaged frame; longer damage is handed out in several, so that garbage never fills the memory.
pub const DAMAGED_MAX: usize = 64 * 1024;

/// Why a record that has no end is damaged.
pub const NO_END: &str = "the file ends inside this record";
