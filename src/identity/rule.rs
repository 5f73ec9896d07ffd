//! What a rule means: when it applies, and whom it names.
//!
//! Every mistake of every rule is told at once. Nothing here knows in which form a rule was written.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::entry::{Entry, Field, Place, Problem};
use super::network::{Address, Network};
use super::pattern::Pattern;
use crate::config::nearest;

/// Every key of a rule, in the order in which the example shows them.
pub const KEYS: &[&str] = &[
    "name",
    "priority",
    "account",
    "application",
    "database",
    "server",
    "source",
    "os_user",
    "authentication",
    "claim",
    "address",
    "valid_from",
    "valid_to",
    "person",
    "email",
    "team",
    "kind",
    "ticket",
    "approved_by",
    "expires",
];

/// A rule without one stands here, so that a few can be put before it and behind.
pub const PRIORITY: u32 = 100;

/// Longer texts are no names. What a rule gives stands on every row of its accounts.
const GIVEN_BYTES_MAX: usize = 256;

/// The texts of a row that a rule may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// The account, as the server reports it.
    Account,
    /// What the client calls itself.
    Application,
    /// The session's database.
    Database,
    /// The agent's name.
    Server,
    /// The source's name.
    Source,
    /// The client's user on its own host, as it says.
    OsUser,
    /// What the server proved before it let the session in: a certificate's name, a Kerberos principal, an LDAP entry.
    Authentication,
    /// Whom the client says that it is for.
    Claim,
}

impl Of {
    /// All of them; their place here is their number.
    pub const ALL: [Of; 8] =
        [Of::Account, Of::Application, Of::Database, Of::Server, Of::Source, Of::OsUser, Of::Authentication, Of::Claim];

    /// The key that asks for it.
    pub fn key(self) -> &'static str {
        match self {
            Of::Account => "account",
            Of::Application => "application",
            Of::Database => "database",
            Of::Server => "server",
            Of::Source => "source",
            Of::OsUser => "os_user",
            Of::Authentication => "authentication",
            Of::Claim => "claim",
        }
    }
}

/// Whether a key asks for something of a row, of which any of a list will do.
pub fn is_condition(key: &str) -> bool {
    key == "address" || Of::ALL.iter().any(|of| of.key() == key)
}

/// What a row says about who it is of.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked<'a> {
    /// By the number of [`Of`]; `None` where the row does not say.
    pub texts: [Option<&'a [u8]>; Of::ALL.len()],
    /// Where the client is.
    pub address: Option<&'a [u8]>,
    /// When, in milliseconds since 1970.
    pub time_ms: u64,
    /// The account is only what the client claims: nobody was let in yet.
    pub is_claimed: bool,
}

impl<'a> Asked<'a> {
    /// One of its texts.
    pub fn text(&self, of: Of) -> Option<&'a [u8]> {
        self.texts[of as usize]
    }
}

/// A rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its own, or its place.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    /// The lowest is asked first.
    pub priority: u32,
    /// When it applies.
    pub when: When,
    /// Whom it names.
    pub gives: Gives,
}

/// When a rule applies: where every condition that it has is met.
#[derive(Debug, Clone, Default)]
pub struct When {
    /// By the number of [`Of`]; any of a list will do, and an empty one is no condition.
    pub texts: [Vec<Pattern>; Of::ALL.len()],
    /// Any of them will do.
    pub addresses: Vec<Network>,
    /// From then on, in milliseconds since 1970.
    pub from_ms: Option<u64>,
    /// Until just before then.
    pub to_ms: Option<u64>,
}

/// Whom a rule names.
#[derive(Debug, Clone, Default)]
pub struct Gives {
    /// Who it is.
    pub person: Option<Template>,
    /// Their address.
    pub email: Option<Template>,
    /// To whom they belong.
    pub team: Option<Template>,
    /// What the account is for.
    pub kind: Option<Kind>,
    /// On whose word, by number.
    pub ticket: Option<Template>,
    /// On whose word.
    pub approved_by: Option<Template>,
    /// Until when access was granted, in milliseconds since 1970.
    pub expires_ms: Option<u64>,
}

/// What an account is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A person's own.
    Human,
    /// A program's.
    Service,
    /// For emergencies.
    BreakGlass,
}

impl Kind {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Human => "human",
            Kind::Service => "service",
            Kind::BreakGlass => "break_glass",
        }
    }
}

/// A text with what a pattern caught put into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// A group of the only pattern of a condition; 0 is all of the text.
    Caught(Of, usize),
}

impl Template {
    /// The text for a row that the rule applies to.
    pub fn fill(&self, when: &When, asked: &Asked<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Caught(of, group) => out.extend_from_slice(caught(when, asked, *of, *group).unwrap_or_default()),
            }
        }
        out
    }
}

fn caught<'a>(when: &When, asked: &Asked<'a>, of: Of, group: usize) -> Option<&'a [u8]> {
    let text = asked.text(of)?;
    if group == 0 {
        return Some(text);
    }
    match when.texts[of as usize].first()? {
        Pattern::Regex(expression) => expression.regex.captures(text)?.get(group).map(|caught| caught.as_bytes()),
        _ => None,
    }
}

impl When {
    /// The first condition that the row does not meet, but for the time; `None` where it meets all.
    pub fn unmet(&self, asked: &Asked<'_>, address: Option<Address>) -> Option<&'static str> {
        for of in Of::ALL {
            let patterns = &self.texts[of as usize];
            let fits = |text| patterns.iter().any(|pattern| pattern.fits(text));
            if !patterns.is_empty() && !asked.text(of).is_some_and(fits) {
                return Some(of.key());
            }
        }
        let holds = |address| self.addresses.iter().any(|network| network.holds(address));
        (!self.addresses.is_empty() && !address.is_some_and(holds)).then_some("address")
    }

    /// The account alone, where that is what it asks for.
    pub fn accounts(&self) -> &[Pattern] {
        &self.texts[Of::Account as usize]
    }

    /// Whether every account that it asks for is written out.
    pub fn has_exact_accounts(&self) -> bool {
        !self.accounts().is_empty() && self.accounts().iter().all(|pattern| matches!(pattern, Pattern::Exact(_)))
    }

    /// Whether it asks for what only the client says.
    pub fn rests_on_client(&self) -> bool {
        let asks = |of: Of| !self.texts[of as usize].is_empty();
        asks(Of::Claim) || (asks(Of::Application) || asks(Of::OsUser)) && !asks(Of::Authentication)
    }
}

/// The rule that was written, or all that is wrong with it.
pub fn rule(entry: &Entry) -> Result<Rule, Vec<Problem>> {
    let mut reader = Reader { entry, rule: name(entry), problems: Vec::new() };
    let known = entry.fields.iter().filter(|field| !KEYS.contains(&field.key.as_str()));
    for field in known {
        reader.wrong(field.line, &field.key, "unknown key", nearest::hint(&field.key, KEYS.iter().copied()));
    }
    let rule = reader.rule();
    if reader.problems.is_empty() { Ok(rule) } else { Err(reader.problems) }
}

/// What a rule is called in what is said of it.
fn name(entry: &Entry) -> String {
    let own = entry.fields.iter().find(|field| field.key == "name").and_then(|field| field.texts.first());
    match own.filter(|name| !name.is_empty()) {
        Some(name) => name.clone(),
        None => {
            let file = entry.place.file.rsplit('/').next().unwrap_or_default();
            format!("{file}:{}", entry.place.line)
        }
    }
}

struct Reader<'e> {
    entry: &'e Entry,
    rule: String,
    problems: Vec<Problem>,
}

impl<'e> Reader<'e> {
    fn rule(&mut self) -> Rule {
        let when = self.when();
        let gives = self.gives(&when);
        let is_anybody = when.texts.iter().all(Vec::is_empty) && when.addresses.is_empty();
        if is_anybody && self.problems.is_empty() {
            let hint = "for a rule behind all others write account = \"*\" and a high priority".to_owned();
            self.wrong_rule("has no condition: it would be anybody's", hint);
        }
        let names_nobody = gives.person.is_none() && gives.team.is_none() && gives.kind.is_none();
        if names_nobody && self.problems.is_empty() {
            self.wrong_rule("names nobody", "give it person, team or kind".to_owned());
        }
        Rule {
            name: self.one("name").map_or_else(|| self.rule.clone(), |(_, name)| name.to_owned()),
            place: self.entry.place.clone(),
            priority: self.priority(),
            when,
            gives,
        }
    }

    fn when(&mut self) -> When {
        let (from_ms, to_ms) = (self.time("valid_from", false), self.time("valid_to", true));
        if let (Some((_, from)), Some((line, to))) = (from_ms, to_ms)
            && to <= from
        {
            self.wrong(line, "valid_to", "is not after valid_from", "turn them round".to_owned());
        }
        When {
            texts: Of::ALL.map(|of| self.patterns(of.key())),
            addresses: self.networks(),
            from_ms: from_ms.map(|(_, ms)| ms),
            to_ms: to_ms.map(|(_, ms)| ms),
        }
    }

    fn gives(&mut self, when: &When) -> Gives {
        let gives = Gives {
            person: self.template("person", when),
            email: self.template("email", when),
            team: self.template("team", when),
            kind: self.kind(),
            ticket: self.template("ticket", when),
            approved_by: self.template("approved_by", when),
            expires_ms: self.time("expires", true).map(|(_, ms)| ms),
        };
        if let (Some(expires), Some(from)) = (gives.expires_ms, when.from_ms)
            && expires <= from
            && let Some(line) = self.field("expires").map(|field| field.line)
        {
            self.wrong(line, "expires", "is not after valid_from", "leave the one out that does not hold".to_owned());
        }
        gives
    }

    fn patterns(&mut self, key: &str) -> Vec<Pattern> {
        let Some(field) = self.list(key) else { return Vec::new() };
        let mut patterns = Vec::new();
        for text in &field.texts {
            match Pattern::read(text) {
                Ok(pattern) => patterns.push(pattern),
                Err((message, hint)) => self.wrong(field.line, key, message, hint),
            }
        }
        patterns
    }

    fn networks(&mut self) -> Vec<Network> {
        let Some(field) = self.list("address") else { return Vec::new() };
        let mut networks = Vec::new();
        for text in &field.texts {
            match Network::read(text) {
                Ok(network) => networks.push(network),
                Err((message, hint)) => self.wrong(field.line, "address", message, hint),
            }
        }
        networks
    }

    fn priority(&mut self) -> u32 {
        let Some((line, text)) = self.one("priority") else { return PRIORITY };
        text.parse().unwrap_or_else(|_| {
            let hint =
                format!("a whole number; the lowest is asked first, and {PRIORITY} is that of a rule without one");
            self.wrong(line, "priority", format!("{text:?} is no priority"), hint);
            PRIORITY
        })
    }

    fn kind(&mut self) -> Option<Kind> {
        let (line, text) = self.one("kind")?;
        let kinds = [Kind::Human, Kind::Service, Kind::BreakGlass];
        let found = kinds.into_iter().find(|kind| kind.name() == text);
        if found.is_none() {
            let hint = nearest::hint(text, kinds.map(Kind::name));
            self.wrong(line, "kind", format!("{text:?} is none of the valid values"), hint);
        }
        found
    }

    /// The line, and the time in milliseconds since 1970. A day is its first moment, or `ends`, that of the day behind it.
    fn time(&mut self, key: &str, ends: bool) -> Option<(usize, u64)> {
        let (line, text) = self.one(key)?;
        let read = time_ms(text, ends);
        if read.is_none() {
            let hint = "such as 2026-11-30, the whole day in UTC, or 2026-11-30T18:00:00+01:00".to_owned();
            self.wrong(line, key, format!("{text:?} is no time"), hint);
        }
        Some((line, read?))
    }

    fn template(&mut self, key: &str, when: &When) -> Option<Template> {
        let (line, text) = self.one(key)?;
        if text.trim().is_empty() || text.len() > GIVEN_BYTES_MAX {
            let hint = "leave the key out where there is none".to_owned();
            self.wrong(line, key, format!("must be 1 to {GIVEN_BYTES_MAX} bytes long"), hint);
            return None;
        }
        match parts(text, when) {
            Ok(parts) => Some(Template(parts)),
            Err((message, hint)) => {
                self.wrong(line, key, message, hint);
                None
            }
        }
    }

    fn field(&self, key: &str) -> Option<&'e Field> {
        self.entry.fields.iter().find(|field| field.key == key)
    }

    /// Of a condition. A list without items would be met by nothing.
    fn list(&mut self, key: &str) -> Option<&'e Field> {
        let field = self.field(key)?;
        if field.texts.is_empty() {
            let hint = "leave it out: without a condition any will do".to_owned();
            self.wrong(field.line, key, "is an empty list, which nothing meets", hint);
        }
        Some(field)
    }

    /// Of a key that takes one text.
    fn one(&mut self, key: &str) -> Option<(usize, &'e str)> {
        let field = self.field(key)?;
        match field.texts.as_slice() {
            [text] if !field.is_list => Some((field.line, text)),
            // In CSV a semicolon may be a part of it.
            texts if field.is_list => {
                let hint = format!("write {key} = {:?}", texts.first().map_or("…", String::as_str));
                self.wrong(field.line, key, "is a list where one is meant", hint);
                None
            }
            _ => None,
        }
    }

    fn wrong(&mut self, line: usize, key: &str, message: impl Into<String>, hint: String) {
        let place = Place { file: self.entry.place.file.clone(), line };
        // One key is asked for more than once.
        let problem =
            Problem { place, rule: Some(self.rule.clone()), key: Some(key.to_owned()), message: message.into(), hint };
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    fn wrong_rule(&mut self, message: &str, hint: String) {
        let place = self.entry.place.clone();
        let rule = Some(self.rule.clone());
        self.problems.push(Problem { place, rule, key: None, message: message.to_owned(), hint });
    }
}

/// A time in milliseconds since 1970. A day is its first moment, or, where it `ends` something, that of the day behind it.
pub fn time_ms(text: &str, ends: bool) -> Option<u64> {
    if let Ok(date) = text.parse::<Date>()
        && text.len() == "2026-11-30".len()
    {
        let day = if ends { date.checked_add(1.day()).ok()? } else { date };
        let start = day.to_zoned(TimeZone::UTC).ok()?.timestamp();
        return u64::try_from(start.as_millisecond()).ok();
    }
    u64::try_from(text.parse::<Timestamp>().ok()?.as_millisecond()).ok()
}

/// `{1}` and `{name}` are groups of the account's pattern, `{application.1}` those of another condition's; `{{` is a brace.
fn parts(text: &str, when: &When) -> Result<Vec<Part>, (String, String)> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        plain.push_str(before);
        if let Some(behind) = from.strip_prefix("{{").or_else(|| from.strip_prefix("}}")) {
            plain.push_str(&from[..1]);
            rest = behind;
            continue;
        }
        let Some((inner, behind)) = from.strip_prefix('{').and_then(|from| from.split_once('}')) else {
            return Err(("a brace without its other half".to_owned(), "write {{ or }} for a brace".to_owned()));
        };
        if !plain.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut plain)));
        }
        parts.push(group(inner, when)?);
        rest = behind;
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        parts.push(Part::Text(plain));
    }
    Ok(parts)
}

fn group(inner: &str, when: &When) -> Result<Part, (String, String)> {
    let (of, group) = inner.split_once('.').unwrap_or((Of::Account.key(), inner));
    let Some(of) = Of::ALL.into_iter().find(|known| known.key() == of) else {
        let hint = "{1}, {name} or {application.1}: a group of a condition's regular expression".to_owned();
        return Err((format!("{{{inner}}}: {of} is no condition with patterns"), hint));
    };
    let patterns = &when.texts[of as usize];
    if group == "0" && !patterns.is_empty() {
        return Ok(Part::Caught(of, 0));
    }
    let [Pattern::Regex(expression)] = patterns.as_slice() else {
        let message = format!("{{{inner}}}: {} is not one regular expression", of.key());
        return Err((message, format!("such as {} = '/svc_(\\w+)/'", of.key())));
    };
    let mut names = expression.regex.capture_names().enumerate().skip(1);
    let found = names.find(|(number, name)| *name == Some(group) || number.to_string() == group);
    match found {
        Some((number, _)) => Ok(Part::Caught(of, number)),
        None => {
            let count = expression.regex.captures_len() - 1;
            let hint = format!("/{}/ has {count} groups: what stands between ( and )", expression.text);
            Err((format!("{{{inner}}}: there is no such group"), hint))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::identity::entry;

    fn rules(text: &str) -> Vec<Result<Rule, Vec<Problem>>> {
        entry::read(Path::new("d.toml"), text).unwrap().iter().map(rule).collect()
    }

    fn one(text: &str) -> Rule {
        rules(&format!("[[rule]]\n{text}")).remove(0).unwrap()
    }

    fn wrong(text: &str) -> Vec<String> {
        let problems = rules(&format!("[[rule]]\n{text}")).remove(0).unwrap_err();
        problems.iter().map(ToString::to_string).collect()
    }

    fn asked<'a>(account: &'a str, application: &'a str) -> Asked<'a> {
        let mut asked = Asked::default();
        asked.texts[Of::Account as usize] = Some(account.as_bytes());
        asked.texts[Of::Application as usize] = Some(application.as_bytes());
        asked
    }

    #[test]
    fn every_key_is_known_and_has_a_meaning() {
        let rule = one(
            "name = 'dba'\npriority = 5\naccount = 'a'\napplication = 'psql'\ndatabase = 'd'\nserver = 's'\nsource = 'x'\n\
             os_user = 'o'\nclaim = 'c'\nauthentication = 'CN=a'\naddress = ['10.0.0.0/8', 'local']\nvalid_from = 2026-01-01\n\
             valid_to = 2026-12-31\nperson = 'P'\nemail = 'p@x'\nteam = 'T'\nkind = 'break_glass'\nticket = 'C-1'\n\
             approved_by = 'B'\nexpires = 2026-06-30T12:00:00Z\n",
        );
        assert_eq!((rule.name.as_str(), rule.priority, rule.place.line), ("dba", 5, 1));
        assert!(rule.when.texts.iter().all(|patterns| patterns.len() == 1) && rule.when.addresses.len() == 2);
        assert_eq!(rule.when.from_ms, Some(1_767_225_600_000));
        assert_eq!(rule.when.to_ms, Some(1_798_761_600_000), "the whole of its last day");
        assert_eq!(rule.gives.kind, Some(Kind::BreakGlass));
        assert_eq!(rule.gives.expires_ms, Some(1_782_820_800_000));
    }

    #[test]
    fn what_a_pattern_caught_can_be_given() {
        let rule = one(r"account = '/svc_(?<team>\w+)/'
application = '/(\w+)@(.*)/'
person = '{application.1} {{{application.2}}}'
team = '{team}-{1}-{0}'
");
        let asked = asked("svc_pay", "jane@laptop");
        let text = |template: &Option<Template>| {
            String::from_utf8(template.as_ref().unwrap().fill(&rule.when, &asked)).unwrap()
        };
        assert_eq!(text(&rule.gives.person), "jane {laptop}");
        assert_eq!(text(&rule.gives.team), "pay-pay-svc_pay");
    }

    #[test]
    fn what_is_wrong_with_a_rule_is_told_with_its_key_and_line() {
        for (text, said) in [
            ("acount = 'a'\nteam = 't'", "d.toml:2: rule d.toml:1 acount: unknown key"),
            ("team = 't'", "d.toml:1: rule d.toml:1: has no condition: it would be anybody's"),
            ("name = 'n'\naccount = 'a'", "d.toml:1: rule n: names nobody"),
            ("account = 'a'\nemail = 'a@x'", "d.toml:1: rule d.toml:1: names nobody"),
            ("account = []\nteam = 't'", "d.toml:2: rule d.toml:1 account: is an empty list, which nothing meets"),
            ("account = 'a'\nteam = ['t']", "d.toml:3: rule d.toml:1 team: is a list where one is meant"),
            ("account = 'a'\nteam = '{1}'", "d.toml:3: rule d.toml:1 team: {1}: account is not one regular expression"),
            ("account = '/a/'\nteam = '{1}'", "d.toml:3: rule d.toml:1 team: {1}: there is no such group"),
            ("account = 'a'\nteam = '{x.1}'", "d.toml:3: rule d.toml:1 team: {x.1}: x is no condition with patterns"),
            ("account = 'a'\nteam = 'a}'", "d.toml:3: rule d.toml:1 team: a brace without its other half"),
            ("account = 'a'\nteam = ' '", "d.toml:3: rule d.toml:1 team: must be 1 to 256 bytes long"),
            ("account = 'a'\nkind = 'robot'", "d.toml:3: rule d.toml:1 kind: \"robot\" is none of the valid values"),
            ("account = 'a'\nteam = 't'\npriority = -1", "d.toml:4: rule d.toml:1 priority: \"-1\" is no priority"),
            (
                "account = 'a'\nteam = 't'\nvalid_from = '1 May'",
                "d.toml:4: rule d.toml:1 valid_from: \"1 May\" is no time",
            ),
            (
                "account = 'a'\nteam = 't'\nvalid_from = 2026-02-01\nvalid_to = 2026-01-31",
                "d.toml:5: rule d.toml:1 valid_to: is not after valid_from",
            ),
            (
                "account = 'a'\nteam = 't'\nvalid_from = 2026-02-01\nexpires = 2026-01-31",
                "d.toml:5: rule d.toml:1 expires: is not after valid_from",
            ),
        ] {
            assert_eq!(wrong(text), [said]);
        }
    }

    #[test]
    fn a_day_is_a_rule_s_from_its_first_moment_to_its_last() {
        let rule = one("account = 'a'\nteam = 't'\nvalid_from = 2026-01-01\nvalid_to = 2026-01-01\n");
        assert_eq!(rule.when.to_ms.unwrap() - rule.when.from_ms.unwrap(), 86_400_000);
    }
}
