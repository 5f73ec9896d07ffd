//! The name of a format as an operator writes it: `postgres-csvlog`, or `cri+postgres-csvlog` for what carries rows and the rows it carries.
//!
//! It is the same in the file and on the command line. A name that is none is answered with the one that was probably meant: by its
//! spelling, or since it is what another program, or the engine's own manual, calls the format.

use std::fmt;

use sealtrail_parsers::Format;

use super::nearest;

/// A format, and what it carries if that was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FormatName {
    /// What the file is.
    pub format: Format,
    /// What stands in its lines or messages; `None`: told from what carries it.
    pub inside: Option<Format>,
}

impl fmt::Display for FormatName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.format.name())?;
        self.inside.map_or(Ok(()), |inside| write!(f, "+{inside}"))
    }
}

/// What a word is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// A format's name.
    Format(FormatName),
    /// Another word that is valid in this place.
    Other,
}

/// Why a word is no format's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}; {hint}")]
pub struct Wrong {
    /// What is wrong with it.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}

/// Reads a name; `others` are words that are valid too.
pub fn read(word: &str, others: &[&str]) -> Result<Read, Wrong> {
    if others.contains(&word) {
        return Ok(Read::Other);
    }
    let Some((carrier, carried)) = word.split_once('+') else {
        return Ok(Read::Format(FormatName { format: one(word, word, others)?, inside: None }));
    };
    let with = |carrier: &str, carried: &str| format!("{carrier}+{carried}");
    let format = one(carrier, word, &[]).map_err(|wrong| wrong.in_place(carrier, |name| with(name, carried)))?;
    if !format.is_carrier() {
        let carriers = names(Format::is_carrier);
        let hint = format!("write {format} alone; what carries another: {}", nearest::list(carriers));
        return Err(Wrong { message: format!("{word:?}: {format} carries no other format"), hint });
    }
    let inside = one(carried, word, &[]).map_err(|wrong| wrong.in_place(carried, |name| with(carrier, name)))?;
    if !inside.is_carried() {
        let hint = format!("valid behind the plus: {}", nearest::list(names(Format::is_carried)));
        return Err(Wrong { message: format!("{word:?}: {inside} cannot stand in another format"), hint });
    }
    Ok(Read::Format(FormatName { format, inside: Some(inside) }))
}

fn names(is: fn(Format) -> bool) -> Vec<&'static str> {
    Format::ALL.into_iter().filter(|format| is(*format)).map(Format::name).collect()
}

/// One format's name, which is `whole` or a part of it.
fn one(name: &str, whole: &str, others: &[&str]) -> Result<Format, Wrong> {
    if let Ok(format) = name.parse() {
        return Ok(format);
    }
    let all: Vec<&str> = others.iter().copied().chain(Format::ALL.map(Format::name)).collect();
    let hint = match known_as(name) {
        Some(format) => format!("did you mean {format}?"),
        None => nearest::hint(name, all),
    };
    let message = if name == whole { String::new() } else { format!("{whole:?}: ") };
    Err(Wrong { message: format!("{message}{name:?} is no format"), hint })
}

impl Wrong {
    /// The whole that was meant, not only its part.
    fn in_place(self, part: &str, whole: impl Fn(&str) -> String) -> Self {
        let meant = self.hint.strip_prefix("did you mean ").and_then(|rest| rest.strip_suffix('?'));
        let hint = match meant {
            Some(name) => format!("did you mean {}?", whole(name)),
            None if part.is_empty() => "a format on either side of the plus, such as cri+postgres-csvlog".to_owned(),
            None => self.hint,
        };
        Wrong { message: self.message, hint }
    }
}

/// What others call a format.
fn known_as(name: &str) -> Option<Format> {
    const WORDS: [(&str, Format); 34] = [
        ("csvlog", Format::PostgresCsvlog),
        ("jsonlog", Format::PostgresJsonlog),
        ("stderr", Format::PostgresStderr),
        ("syslog", Format::PostgresSyslog),
        ("pgaudit", Format::PostgresCsvlog),
        ("pgauditlogtofile", Format::PgauditlogtofileCsv),
        ("server-audit", Format::MariadbAudit),
        ("server-audit-syslog", Format::MariadbAuditSyslog),
        ("mariadb", Format::MariadbAudit),
        ("mysql-server-auditing", Format::MariadbAuditSyslog),
        ("aurora", Format::AuroraAudit),
        ("aurora-mysql", Format::AuroraAudit),
        ("general-log", Format::MysqlGeneral),
        ("mysql-general-log", Format::MysqlGeneral),
        ("audit-log", Format::PerconaAuditJson),
        ("audit-log-filter", Format::MysqlAuditJson),
        ("mcafee", Format::TrellixAuditJson),
        ("mongodb-json", Format::MongodbAuditJson),
        ("mongodb-bson", Format::MongodbAuditBson),
        ("mongodb-ocsf", Format::MongodbAuditOcsf),
        ("sqlserver-33205", Format::SqlserverEvent),
        ("sqlserver-eventlog", Format::SqlserverEvent),
        ("sqlserver-eventlog-json", Format::SqlserverEventJson),
        ("winlogbeat", Format::SqlserverEventJson),
        ("kubernetes", Format::Cri),
        ("docker", Format::DockerJson),
        ("aws-das", Format::AuroraDas),
        ("gcp-logentry", Format::Cloudsql),
        ("alloydb", Format::Cloudsql),
        ("azure-diagnostics", Format::Azure),
        ("cnpg", Format::Cloudnativepg),
        ("cloudnativepg-json", Format::Cloudnativepg),
        ("bytebase-json", Format::BytebaseAudit),
        ("teleport-json", Format::TeleportAudit),
    ];
    let name = name.to_lowercase().replace(['_', ' '], "-");
    WORDS.iter().find(|(word, _)| *word == name).map(|(_, format)| *format)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(word: &str) -> String {
        read(word, &["auto"]).unwrap_err().hint
    }

    #[test]
    fn every_name_is_read_and_shown_again() {
        for format in Format::ALL {
            assert_eq!(read(format.name(), &[]), Ok(Read::Format(FormatName { format, inside: None })));
        }
        let Ok(Read::Format(name)) = read("cri+postgres-csvlog", &[]) else { panic!("a name") };
        assert_eq!((name.format, name.inside), (Format::Cri, Some(Format::PostgresCsvlog)));
        assert_eq!(name.to_string(), "cri+postgres-csvlog");
        assert_eq!(read("auto", &["auto"]), Ok(Read::Other));
    }

    #[test]
    fn a_name_that_is_none_is_answered_with_the_one_that_was_meant() {
        assert_eq!(hint("server_audit"), "did you mean mariadb-audit?");
        assert_eq!(hint("aws-das"), "did you mean aurora-das?");
        assert_eq!(hint("postgres-cvslog"), "did you mean postgres-csvlog?");
        assert_eq!(hint("cri+csvlog"), "did you mean cri+postgres-csvlog?");
        assert_eq!(hint("docker+postgres-jsonlog"), "did you mean docker-json+postgres-jsonlog?");
        assert!(hint("nothing").starts_with("valid: auto, postgres-csvlog, "));
    }

    #[test]
    fn what_can_carry_nothing_or_be_carried_by_nothing_is_said_to_be_so() {
        let wrong = read("postgres-csvlog+cri", &[]).unwrap_err();
        assert_eq!(wrong.message, "\"postgres-csvlog+cri\": postgres-csvlog carries no other format");
        let wrong = read("cri+docker-json", &[]).unwrap_err();
        assert_eq!(wrong.message, "\"cri+docker-json\": docker-json cannot stand in another format");
        assert_eq!(hint("cri+"), "a format on either side of the plus, such as cri+postgres-csvlog");
    }

    #[test]
    fn words_of_others_are_no_names_of_ours() {
        for word in ["csvlog", "docker", "cnpg", "server-audit"] {
            assert!(known_as(word).is_some() && word.parse::<Format>().is_err(), "{word}");
        }
    }
}
