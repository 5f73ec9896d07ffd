//! Detectors of personal data: what is known by its look, each switched on by itself.
//!
//! A number is what it seems only where its digits check (Luhn, mod 97) or its groups are those in which people write it. What an application writes
//! without any marks, nine digits or ten, is not told from any other number.

use regex::bytes::Regex;

use super::found::Found;
use super::items::is_word;
use super::rules::Rules;

/// What looks for something of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detector {
    /// `jane@example.org`
    Email,
    /// 13 to 19 digits, with blanks or dashes between their groups: ISO/IEC 7812, whose last digit checks the others.
    PaymentCard,
    /// ISO 13616: a country, two digits that check, and as many letters and digits as the country has; with blanks between fours.
    Iban,
    /// `078-05-1120`
    UsSsn,
    /// `+49 30 901820`, `(212) 555-0123`
    Phone,
    /// Version 4 or 6.
    IpAddress,
}

impl Detector {
    /// All, in the order of the documentation.
    pub const ALL: [Detector; 6] =
        [Detector::Email, Detector::PaymentCard, Detector::Iban, Detector::UsSsn, Detector::Phone, Detector::IpAddress];

    /// As the configuration and records call it.
    pub const fn name(self) -> &'static str {
        match self {
            Detector::Email => "email",
            Detector::PaymentCard => "payment_card",
            Detector::Iban => "iban",
            Detector::UsSsn => "us_ssn",
            Detector::Phone => "phone",
            Detector::IpAddress => "ip_address",
        }
    }

    fn rule(self) -> Rules {
        match self {
            Detector::Email => Rules::EMAIL,
            Detector::PaymentCard => Rules::PAYMENT_CARD,
            Detector::Iban => Rules::IBAN,
            Detector::UsSsn => Rules::US_SSN,
            Detector::Phone => Rules::PHONE,
            Detector::IpAddress => Rules::IP_ADDRESS,
        }
    }

    /// The end of what begins here, if it does.
    fn end_of(self, text: &[u8], at: usize) -> Option<usize> {
        match self {
            // Known by its middle: see [`Detectors::scan`].
            Detector::Email => None,
            Detector::PaymentCard => payment_card(text, at),
            Detector::Iban => iban(text, at),
            Detector::UsSsn => us_ssn(text, at),
            Detector::Phone => phone(text, at),
            Detector::IpAddress => ip_address(text, at),
        }
    }
}

/// A pattern of the configuration's own.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// As records call it: `pattern:employee`.
    pub label: String,
    /// Compiled once. It takes time in proportion to the text, whatever it is.
    pub regex: Regex,
}

impl Pattern {
    /// What `label` begins with.
    pub const LABEL: &str = "pattern:";

    /// As the configuration calls it.
    pub fn name(&self) -> &str {
        self.label.strip_prefix(Pattern::LABEL).unwrap_or(&self.label)
    }
}

/// Those that are switched on.
#[derive(Debug, Clone, Default)]
pub struct Detectors {
    /// Of their own look.
    pub kinds: Vec<Detector>,
    /// At most [`Rules::PATTERNS_MAX`].
    pub patterns: Vec<Pattern>,
}

impl Detectors {
    /// Whether all are off.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty() && self.patterns.is_empty()
    }

    /// All that they find in a text. `with_addresses`: an address of the internet is not what the text is there for.
    pub fn scan(&self, text: &[u8], with_addresses: bool, found: &mut Found) {
        if self.kinds.contains(&Detector::Email) {
            emails(text, found);
        }
        if self.kinds.iter().any(|kind| *kind != Detector::Email) {
            self.numbers(text, with_addresses, found);
        }
        for (index, pattern) in self.patterns.iter().enumerate() {
            for place in pattern.regex.find_iter(text) {
                found.take(place.start(), place.end(), Rules::of_pattern(index));
            }
        }
    }

    /// What begins where a number, or a word, may begin.
    fn numbers(&self, text: &[u8], with_addresses: bool, found: &mut Found) {
        let is_on = |kind: &&Detector| with_addresses || **kind != Detector::IpAddress;
        let (mut at, mut before) = (0, b' ');
        while at < text.len() {
            let byte = text[at];
            let begins = byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'(' | b':');
            let mut end = at + 1;
            if begins && !is_word(before) {
                let kinds = self.kinds.iter().filter(is_on);
                if let Some((kind, far)) = kinds.filter_map(|kind| Some((kind, kind.end_of(text, at)?))).next() {
                    found.take(at, far, kind.rule());
                    end = far;
                }
            }
            before = text[end - 1];
            at = end;
        }
    }
}

/// Parts of an address before its `@`: RFC 5321 allows 64 bytes.
const LOCAL_BYTES_MAX: usize = 64;
/// And behind it.
const DOMAIN_BYTES_MAX: usize = 255;

fn emails(text: &[u8], found: &mut Found) {
    for at in memchr::memchr_iter(b'@', text) {
        let is_local = |byte: &u8| is_word(*byte) || matches!(byte, b'.' | b'+' | b'-' | b'%');
        let local = text[..at].iter().rev().take(LOCAL_BYTES_MAX + 1).take_while(|byte| is_local(byte)).count();
        // The user of a URL is an account.
        let is_url = local < at && text[..at - local].ends_with(b"//");
        if local == 0 || local > LOCAL_BYTES_MAX || is_url {
            continue;
        }
        if let Some(end) = domain_end(text, at + 1) {
            found.take(at - local, end, Rules::EMAIL);
        }
    }
}

/// `example.org`: two names at least, the last of letters.
fn domain_end(text: &[u8], from: usize) -> Option<usize> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.') || *byte >= 0x80;
    let run = text[from..].iter().take(DOMAIN_BYTES_MAX).take_while(|byte| is_part(byte)).count();
    let domain = text[from..from + run].trim_ascii_end();
    let domain = domain.strip_suffix(b".").unwrap_or(domain);
    let dot = memchr::memrchr(b'.', domain)?;
    let (name, last) = (&domain[..dot], &domain[dot + 1..]);
    let is_top =
        last.len() >= 2 && last.iter().all(|byte| byte.is_ascii_alphabetic() || *byte >= 0x80 || *byte == b'-');
    let is_name = name.first().is_some_and(|byte| *byte != b'.' && *byte != b'-');
    (is_top && is_name).then_some(from + domain.len())
}

/// Groups of digits with one blank or dash between them: how many digits each has, and where they end.
struct Groups {
    digits: [u8; 19],
    len: usize,
    shortest: usize,
    end: usize,
}

fn groups(text: &[u8], at: usize) -> Option<Groups> {
    let mut groups = Groups { digits: [0; 19], len: 0, shortest: usize::MAX, end: at };
    let mut group = 0;
    for (index, byte) in text[at..].iter().enumerate() {
        match byte {
            b'0'..=b'9' => {
                *groups.digits.get_mut(groups.len)? = byte - b'0';
                groups.len += 1;
                group += 1;
                groups.end = at + index + 1;
            }
            b' ' | b'-' if group > 0 && text.get(at + index + 1).is_some_and(u8::is_ascii_digit) => {
                groups.shortest = groups.shortest.min(group);
                group = 0;
            }
            _ => break,
        }
    }
    groups.shortest = groups.shortest.min(group);
    Some(groups)
}

fn payment_card(text: &[u8], at: usize) -> Option<usize> {
    let groups = groups(text, at)?;
    let digits = &groups.digits[..groups.len];
    // Airlines, travel, banks, and what China and others issue. A time in milliseconds begins with 1.
    let is_issued = matches!(digits.first(), Some(2..=6));
    let is_alone = ends_alone(text, groups.end) && !follows_point(text, at);
    (digits.len() >= 13 && is_issued && is_alone && groups.shortest >= 3 && luhn(digits)).then_some(groups.end)
}

/// ISO/IEC 7812-1, annex B.
fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, digit)| {
            let digit = u32::from(*digit) << (index % 2);
            if digit > 9 { digit - 9 } else { digit }
        })
        .sum();
    sum.is_multiple_of(10) && digits.iter().any(|digit| *digit != digits[0])
}

/// How long an IBAN is, by country: SWIFT's IBAN registry.
#[rustfmt::skip]
const IBAN_LENGTHS: [(&[u8; 2], usize); 88] = [
    (b"AD", 24), (b"AE", 23), (b"AL", 28), (b"AT", 20), (b"AZ", 28), (b"BA", 20), (b"BE", 16), (b"BG", 22), (b"BH", 22), (b"BI", 27), (b"BR", 29),
    (b"BY", 28), (b"CH", 21), (b"CR", 22), (b"CY", 28), (b"CZ", 24), (b"DE", 22), (b"DJ", 27), (b"DK", 18), (b"DO", 28), (b"EE", 20), (b"EG", 29),
    (b"ES", 24), (b"FI", 18), (b"FK", 18), (b"FO", 18), (b"FR", 27), (b"GB", 22), (b"GE", 22), (b"GI", 23), (b"GL", 18), (b"GR", 27), (b"GT", 28),
    (b"HN", 28), (b"HR", 21), (b"HU", 28), (b"IE", 22), (b"IL", 23), (b"IQ", 23), (b"IS", 26), (b"IT", 27), (b"JO", 30), (b"KW", 30), (b"KZ", 20),
    (b"LB", 28), (b"LC", 32), (b"LI", 21), (b"LT", 20), (b"LU", 20), (b"LV", 21), (b"LY", 25), (b"MC", 27), (b"MD", 24), (b"ME", 22), (b"MK", 19),
    (b"MN", 20), (b"MR", 27), (b"MT", 31), (b"MU", 30), (b"NI", 28), (b"NL", 18), (b"NO", 15), (b"OM", 23), (b"PK", 24), (b"PL", 28), (b"PS", 29),
    (b"PT", 25), (b"QA", 29), (b"RO", 24), (b"RS", 22), (b"RU", 33), (b"SA", 24), (b"SC", 31), (b"SD", 18), (b"SE", 24), (b"SI", 19), (b"SK", 24),
    (b"SM", 27), (b"SO", 23), (b"ST", 25), (b"SV", 28), (b"TL", 23), (b"TN", 24), (b"TR", 26), (b"UA", 29), (b"VA", 22), (b"VG", 24), (b"XK", 20),
];

fn iban(text: &[u8], at: usize) -> Option<usize> {
    let country = text.get(at..at + 2)?.to_ascii_uppercase();
    let (_, len) = IBAN_LENGTHS.iter().find(|(name, _)| name[..] == country[..])?;
    let (mut sign, mut room, mut end) = (0, [0; 34], at);
    while sign < *len {
        match text.get(end)? {
            byte if byte.is_ascii_alphanumeric() => {
                room[sign] = byte.to_ascii_uppercase();
                sign += 1;
            }
            b' ' | b'-' if sign.is_multiple_of(4) && text[end - 1] != b' ' => {}
            _ => return None,
        }
        end += 1;
    }
    let iban = &room[..*len];
    let checks = iban[2..4].iter().all(u8::is_ascii_digit) && mod_97(iban) == 1;
    (checks && ends_alone(text, end)).then_some(end)
}

/// ISO 7064: the first four signs behind the others, letters as two digits.
fn mod_97(iban: &[u8]) -> u32 {
    let signs = iban[4..].iter().chain(&iban[..4]);
    signs.fold(0, |rest, sign| match sign {
        b'0'..=b'9' => (rest * 10 + u32::from(sign - b'0')) % 97,
        letter => (rest * 100 + u32::from(letter - b'A') + 10) % 97,
    })
}

/// The Social Security Administration gives out no area 000, 666 or 900 and more, no group 00, no serial 0000.
fn us_ssn(text: &[u8], at: usize) -> Option<usize> {
    let number = text.get(at..at + 11)?;
    let [area, group, serial] = [&number[..3], &number[4..6], &number[7..]];
    let is_shaped = matches!((number[3], number[6]), (b'-', b'-') | (b' ', b' '))
        && [area, group, serial].into_iter().flatten().all(u8::is_ascii_digit);
    let is_given = area != b"000" && area != b"666" && area[0] != b'9' && group != b"00" && serial != b"0000";
    let is_alone = ends_alone(text, at + 11) && text.get(at + 11) != Some(&b'-') && !follows(text, at, b"-.");
    (is_shaped && is_given && is_alone).then_some(at + 11)
}

/// With the country's code behind a plus (ITU-T E.164), or as in North America.
fn phone(text: &[u8], at: usize) -> Option<usize> {
    match text[at] {
        b'+' => international(text, at),
        b'(' | b'2'..=b'9' => north_american(text, at),
        _ => None,
    }
}

fn international(text: &[u8], at: usize) -> Option<usize> {
    let (mut digits, mut end, mut last) = (0, at + 1, b'+');
    for (index, byte) in text[at + 1..].iter().take(30).enumerate() {
        let goes_on = match byte {
            b'0'..=b'9' => {
                digits += 1;
                end = at + index + 2;
                true
            }
            b' ' | b'-' | b'.' | b'/' => last.is_ascii_digit() || last == b')',
            b'(' => last.is_ascii_digit() || last == b' ',
            b')' => last.is_ascii_digit(),
            _ => false,
        };
        if !goes_on {
            break;
        }
        last = *byte;
    }
    let is_number = text.get(at + 1).is_some_and(|byte| matches!(byte, b'1'..=b'9'));
    (is_number && (8..=15).contains(&digits) && ends_alone(text, end) && !follows(text, at, b")")).then_some(end)
}

/// `(212) 555-0123`, `212-555-0123`, `212.555.0123`
fn north_american(text: &[u8], at: usize) -> Option<usize> {
    const FORMS: [&[u8]; 5] = [b"(ddd) ddd-dddd", b"(ddd)ddd-dddd", b"ddd-ddd-dddd", b"ddd.ddd.dddd", b"ddd ddd dddd"];
    let form = FORMS.into_iter().find(|form| {
        let number = text.get(at..at + form.len()).unwrap_or_default();
        !number.is_empty()
            && number.iter().zip(*form).all(|(byte, of)| if *of == b'd' { byte.is_ascii_digit() } else { byte == of })
    })?;
    let end = at + form.len();
    let area = if form[0] == b'(' { at + 1 } else { at };
    let exchange = end - 8;
    let is_given = matches!(text[area], b'2'..=b'9') && matches!(text[exchange], b'2'..=b'9');
    let is_alone = ends_alone(text, end) && !follows(text, at, b"-.") && !matches!(text.get(end), Some(b'-'));
    (is_given && is_alone).then_some(end)
}

fn ip_address(text: &[u8], at: usize) -> Option<usize> {
    let is_part = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':');
    let run = text[at..].iter().take(46).take_while(|byte| is_part(byte)).count();
    let run = &text[at..at + run];
    let end = at + run.len();
    let address = std::str::from_utf8(run).ok()?.trim_end_matches(['.', ':']);
    if follows(text, at, b".:") || address.is_empty() {
        return None;
    }
    if let Ok(found) = address.parse::<std::net::Ipv6Addr>() {
        return (!found.is_unspecified() && ends_alone(text, end)).then_some(at + address.len());
    }
    // A port may stand behind it.
    let address = address.split(':').next().unwrap_or_default();
    let end = at + address.len();
    (address.parse::<std::net::Ipv4Addr>().is_ok() && ends_alone(text, end)).then_some(end)
}

/// No word goes on here, and no number behind its point.
fn ends_alone(text: &[u8], end: usize) -> bool {
    let digit_at = |at: usize| text.get(at).is_some_and(u8::is_ascii_digit);
    match text.get(end) {
        Some(b'.') => !digit_at(end + 1),
        Some(byte) => !is_word(*byte),
        None => true,
    }
}

fn follows(text: &[u8], at: usize, marks: &[u8]) -> bool {
    at.checked_sub(1).and_then(|at| text.get(at)).is_some_and(|before| marks.contains(before))
}

/// The digits behind the point of another number.
fn follows_point(text: &[u8], at: usize) -> bool {
    follows(text, at, b".") && at.checked_sub(2).and_then(|at| text.get(at)).is_some_and(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(kind: Detector, text: &str) -> String {
        let mut found = Found::default();
        let detectors = Detectors { kinds: vec![kind], patterns: Vec::new() };
        detectors.scan(text.as_bytes(), true, &mut found);
        String::from_utf8(found.cut_from(text.as_bytes())).unwrap()
    }

    /// Between brackets what is found; the rest stays.
    fn finds(kind: Detector, texts: &[&str]) {
        for text in texts {
            let plain = text.replace(['«', '»'], "");
            let mut wanted = String::new();
            for (index, part) in text.split(['«', '»']).enumerate() {
                wanted += if index % 2 == 1 { "[redacted]" } else { part };
            }
            assert_eq!(left(kind, &plain), wanted, "{kind:?}");
        }
    }

    #[test]
    fn email_addresses() {
        finds(
            Detector::Email,
            &[
                "WHERE email = '«jane.doe+x@mail.example.org»'",
                "Key (email)=(«o_b@example.co.uk») already exists.",
                "mail «a@b.de», «c@d.fr».",
                "<«jürgen@müller.example»>",
                "'app'@'db.example.org' a@b x @> y root@localhost",
                "postgres://app@db.example.org/x",
                "https://x:[redacted]@example.org",
                "SELECT @a.b, t.c@link",
            ],
        );
    }

    #[test]
    fn payment_cards() {
        finds(
            Detector::PaymentCard,
            &[
                "VALUES ('«4111 1111 1111 1111»', «5500005555555559», '«3782-822463-10005»')",
                "«6304000000000000» and «4917 6100 0000 0000 003».",
                "4111 1111 1111 1112, 1764457363135, 0.4111111111111111, x4111111111111111",
                "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
                "4111111111111111000000, 4111111111111111.5, 0000000000000000, 4444444444444444",
            ],
        );
    }

    #[test]
    fn bank_accounts() {
        finds(
            Detector::Iban,
            &[
                "'«DE89370400440532013000»' '«GB82 WEST 1234 5698 7654 32»' '«nl91abna0417164300»'",
                "DE89370400440532013001 XX89370400440532013000 DE8937040044053201300 aDE89370400440532013000",
            ],
        );
    }

    #[test]
    fn social_security_numbers() {
        finds(
            Detector::UsSsn,
            &[
                "ssn = '«078-05-1120»'",
                "«219 09 9999»;",
                "000-12-3456 666-12-3456 900-12-3456 123-00-4567 123-45-0000 1123-45-6789 123-45-67890 2026-11-20",
            ],
        );
    }

    #[test]
    fn telephone_numbers() {
        finds(
            Detector::Phone,
            &[
                "'«+49 30 901820»', '«+1 (212) 555-0123»', «+442079460123»",
                "«(212) 555-0123» «212-555-0123» «212.555.0123»",
                "1 +12345678901234567, a+12345678, 112-555-0123, 212-155-0123, 2026-11-20, +1 2 3",
            ],
        );
    }

    #[test]
    fn addresses_of_the_internet() {
        finds(
            Detector::IpAddress,
            &[
                "host '«192.0.2.7»', «2001:db8::1», «192.0.2.7»:5432, «::1»",
                "1.2.3, 1.2.3.4.5, 256.1.1.1, '2026-11-20 20:28:31', x::date, a::text, 12:30",
            ],
        );
    }
}
