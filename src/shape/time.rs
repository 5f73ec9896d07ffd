//! The server's time to RFC 3339 in UTC.
//!
//! PostgreSQL writes local time with the zone's abbreviation, and abbreviations are ambiguous worldwide (`IST`, `CST`): only UTC
//! and numeric offsets speak for themselves. For all others the operator states `log_timezone` in the config, and the
//! abbreviation only decides which of the two hours it is when clocks are set back. What could not be known is said in
//! `time_source`, never guessed in silence.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// `2026-11-20T20:28:31.135Z` and up to nanoseconds.
const TEXT_MAX: usize = 40;

/// A time in RFC 3339, UTC, with the source's own precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UtcTime {
    text: [u8; TEXT_MAX],
    len: u8,
    /// How it was derived; `None` when the row states it beyond doubt.
    pub source: Option<&'static str>,
}

impl UtcTime {
    /// The text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text[..usize::from(self.len)]
    }

    /// Milliseconds since 1970, or 0 for a time before that.
    pub fn unix_ms(&self) -> u64 {
        if let Some(ms) = plain_unix_ms(self.as_bytes()) {
            return ms;
        }
        let text = std::str::from_utf8(self.as_bytes()).unwrap_or_default();
        text.parse::<jiff::Timestamp>().map_or(0, |time| u64::try_from(time.as_millisecond()).unwrap_or(0))
    }

    /// Whether it is the server's own, zone included, by the row or by the configuration.
    pub fn is_certain(&self) -> bool {
        matches!(self.source, None | Some("config:timezone"))
    }

    /// The same time, derived from `source`.
    pub fn derived(self, source: &'static str) -> Self {
        UtcTime { source: Some(source), ..self }
    }

    /// From text that is RFC 3339 already.
    pub fn from_rfc3339(text: &[u8]) -> Self {
        let mut time = UtcTime { text: [0; TEXT_MAX], len: 0, source: None };
        time.append(text);
        time
    }

    fn append(&mut self, bytes: &[u8]) {
        let at = usize::from(self.len);
        let len = bytes.len().min(TEXT_MAX - at);
        self.text[at..at + len].copy_from_slice(&bytes[..len]);
        self.len += len as u8;
    }
}

/// Of `2026-11-20T20:28:31Z`, with or without a fraction, from 1970 to 9999: rows that are asked who they are of ask for it, each. `None` for any
/// other text. Days are counted from March on, so that a leap day is the last of its year.
fn plain_unix_ms(text: &[u8]) -> Option<u64> {
    let (seconds, fraction) = text.strip_suffix(b"Z")?.split_at_checked(19)?;
    let number = |from: usize, to: usize| {
        let digits = &seconds[from..to];
        let is_number = digits.iter().all(u8::is_ascii_digit);
        is_number.then(|| digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
    };
    if (seconds[4], seconds[7], seconds[10], seconds[13], seconds[16]) != (b'-', b'-', b'T', b':', b':') {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let is_day = (1..=12).contains(&month) && (1..=days_of(year, month)).contains(&day);
    if year < 1970 || !is_day || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let fraction = match fraction {
        [] => 0,
        [b'.', digits @ ..] if !digits.is_empty() && digits.len() <= 9 && digits.iter().all(u8::is_ascii_digit) => {
            let digit = |at: usize| digits.get(at).map_or(0, |digit| u64::from(digit - b'0'));
            digit(0) * 100 + digit(1) * 10 + digit(2)
        }
        _ => return None,
    };
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    // Of 1 January 1970.
    let days = days.checked_sub(719_468)?;
    Some(((days * 24 + hour) * 60 + minute) * 60_000 + second * 1000 + fraction)
}

/// Of a month from 1 to 12.
fn days_of(year: u64, month: u64) -> u64 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 => 28 + u64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Until when a row can have been written, for times without a year: a row is not younger than its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latest {
    /// In milliseconds since 1970.
    pub unix_ms: u64,
    /// It is the file's last change, not the agent's clock.
    pub is_of_file: bool,
}

/// Converts one source's times. Remembers the last minute's offset and the last time, since rows come in order.
#[derive(Debug)]
pub struct Clock {
    zone: Option<TimeZone>,
    last: Option<Minute>,
    /// The time that was converted last, as it was written and in UTC.
    last_text: Vec<u8>,
    last_utc: Option<UtcTime>,
}

/// The offset in force in one local minute.
#[derive(Debug)]
struct Minute {
    /// `2026-11-20 20:28` and the abbreviation.
    key: Vec<u8>,
    /// The minute in UTC: `2026-11-20T20:28`.
    utc: [u8; 16],
    source: Option<&'static str>,
}

impl Clock {
    /// `zone` is the operator's `timezone`, checked by the config; `None` when there is none.
    pub fn new(zone: Option<&str>) -> Self {
        Clock {
            zone: zone.and_then(|name| TimeZone::get(name).ok()),
            last: None,
            last_text: Vec::new(),
            last_utc: None,
        }
    }

    /// `text` is `YYYY-MM-DD HH:MM:SS[.fraction]`, with a zone behind a space where the engine writes one; `None` if it is not.
    pub fn utc(&mut self, text: &[u8]) -> Option<UtcTime> {
        self.again(text).or_else(|| self.another(text))
    }

    /// The time of a text that is the last one, but perhaps for its milliseconds.
    fn again(&self, text: &[u8]) -> Option<UtcTime> {
        let (last, mut utc) = (&self.last_text[..], self.last_utc?);
        if text == last {
            return Some(utc);
        }
        let (head, tail) = text.split_first_chunk::<23>()?;
        let (last_head, last_tail) = last.split_first_chunk::<23>()?;
        let has_milliseconds = |head: &[u8; 23]| head[19] == b'.' && head[20..].iter().all(u8::is_ascii_digit);
        let is_same_second = head[..20] == last_head[..20] && tail == last_tail;
        if !is_same_second || !has_milliseconds(head) || !has_milliseconds(last_head) {
            return None;
        }
        utc.text[20..23].copy_from_slice(&head[20..]);
        Some(utc)
    }

    fn another(&mut self, text: &[u8]) -> Option<UtcTime> {
        let (local, zone) = split(text)?;
        let known = self.last.as_ref().is_some_and(|last| last.key[..16] == local[..16] && &last.key[16..] == zone);
        if !known {
            self.last = Some(self.minute(local, zone)?);
        }
        let last = self.last.as_ref()?;
        let utc = assemble(&last.utc, &local[16..], last.source);
        if text.len() <= TEXT_MAX {
            self.last_text.clear();
            self.last_text.extend_from_slice(text);
            self.last_utc = Some(utc);
        }
        Some(utc)
    }

    /// The same for `Nov 20 20:28:31`, as syslog's old protocol has it: in the last year in which that is not later than `latest`.
    pub fn utc_without_year(&mut self, text: &[u8], latest: Latest) -> Option<UtcTime> {
        let (month, day, clock) = split_yearless(text)?;
        let latest_ms = latest.unix_ms.saturating_add(AHEAD_MS);
        let now = jiff::Timestamp::from_millisecond(i64::try_from(latest_ms).ok()?).ok()?;
        let this_year = now.to_zoned(TimeZone::UTC).year();
        // The 29th of February is not in every year, nor in every fourth. A zone may be a day ahead.
        (this_year - 8..=this_year + 1).rev().find_map(|year| {
            let time = self.utc(format!("{year:04}-{month:02}-{day:02} {clock}").as_bytes())?;
            (time.unix_ms() <= latest_ms).then(|| time.derived(without_year(time.source, latest.is_of_file)))
        })
    }

    fn minute(&self, local: &[u8], zone: &[u8]) -> Option<Minute> {
        let minute: DateTime = std::str::from_utf8(&with_t(&local[..16])).ok()?.parse().ok()?;
        let (seconds, source) = self.offset(minute, zone);
        let utc = minute.checked_sub(jiff::SignedDuration::from_secs(seconds)).ok()?;
        let text = utc.strftime("%Y-%m-%dT%H:%M").to_string();
        let key = [&local[..16], zone].concat();
        Some(Minute { key, utc: text.as_bytes().try_into().ok()?, source })
    }

    /// Seconds east of UTC, and how that is known.
    fn offset(&self, minute: DateTime, zone: &[u8]) -> (i64, Option<&'static str>) {
        if let Some(seconds) = plain_offset(zone) {
            return (seconds, None);
        }
        let Some(stated) = &self.zone else {
            return (0, Some("assumed:utc"));
        };
        let ambiguous = stated.to_ambiguous_zoned(minute);
        let earlier = ambiguous.clone().earlier();
        let later = ambiguous.later();
        let candidates = [earlier, later];
        let named = candidates.iter().flatten().find(|zoned| zoned.strftime("%Z").to_string().as_bytes() == zone);
        match (named, &candidates[0]) {
            // The engine writes no zone: of two hours with one name it is the first.
            (_, Ok(zoned)) if zone.is_empty() => (i64::from(zoned.offset().seconds()), Some("config:timezone")),
            (Some(zoned), _) => (i64::from(zoned.offset().seconds()), Some("config:timezone")),
            (None, Ok(zoned)) => (i64::from(zoned.offset().seconds()), Some("config:timezone,other-abbreviation")),
            (None, Err(_)) => (0, Some("assumed:utc")),
        }
    }
}

/// Clocks of hosts that write to one file differ, and a time zone that was not stated is off by hours.
const AHEAD_MS: u64 = 24 * 3_600_000;

/// How a time is known that has neither zone nor year.
fn without_year(zone: Option<&'static str>, is_of_file: bool) -> &'static str {
    match (zone == Some("config:timezone"), is_of_file) {
        (true, true) => "config:timezone,year:file",
        (true, false) => "config:timezone,year:agent-clock",
        (false, true) => "assumed:utc,year:file",
        (false, false) => "assumed:utc,year:agent-clock",
    }
}

/// Month, day and time of `Nov  2 20:28:31`.
fn split_yearless(text: &[u8]) -> Option<(usize, u8, &str)> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let text = std::str::from_utf8(text).ok()?;
    let (month, rest) = text.split_once(' ')?;
    let (day, clock) = rest.trim_start().split_once(' ')?;
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    Some((month, day.parse().ok()?, clock))
}

/// Local part and zone, if the local part has the form `YYYY-MM-DD HH:MM:SS[.fraction]`.
fn split(text: &[u8]) -> Option<(&[u8], &[u8])> {
    const FORM: &[u8; 19] = b"0000-00-00 00:00:00";
    let fits = |byte: u8, form: u8| (byte == form) | ((form == b'0') & byte.is_ascii_digit());
    // Looks at all of them, which is faster than to stop at the first that differs.
    let time = text.first_chunk::<19>()?;
    if !time.iter().zip(FORM).fold(true, |all, (byte, form)| all & fits(*byte, *form)) || time[17] > b'5' {
        return None;
    }
    let space = memchr::memchr(b' ', &text[19..]).map_or(text.len(), |len| 19 + len);
    let fraction = &text[19..space];
    let fraction_fits = fraction.is_empty()
        || (fraction[0] == b'.' && fraction.len() <= 10 && fraction[1..].iter().all(u8::is_ascii_digit));
    let zone = text.get(space + 1..).unwrap_or_default();
    // A blank that nothing follows is none that an engine writes.
    (fraction_fits && (space == text.len() || !zone.is_empty())).then_some((&text[..space], zone))
}

fn with_t(minute: &[u8]) -> [u8; 16] {
    let mut text = [b'T'; 16];
    text[..10].copy_from_slice(&minute[..10]);
    text[11..].copy_from_slice(&minute[11..16]);
    text
}

fn assemble(minute: &[u8; 16], seconds: &[u8], source: Option<&'static str>) -> UtcTime {
    let mut time = UtcTime { text: [0; TEXT_MAX], len: 0, source };
    time.append(minute);
    time.append(seconds);
    time.append(b"Z");
    time
}

/// Seconds east of UTC of a zone that speaks for itself: UTC by name, and `-03`, `+0530`, `+05:30` as zones without
/// letters are written.
fn plain_offset(zone: &[u8]) -> Option<i64> {
    if matches!(zone, b"UTC" | b"GMT" | b"Z") {
        return Some(0);
    }
    let (sign, digits) = match zone.split_first()? {
        (b'+', digits) => (1, digits),
        (b'-', digits) => (-1, digits),
        _ => return None,
    };
    let number = |bytes: &[u8]| std::str::from_utf8(bytes).ok()?.parse::<u8>().ok().map(i64::from);
    let (hours, minutes) = match digits.len() {
        2 => (number(digits)?, 0),
        4 => (number(&digits[..2])?, number(&digits[2..])?),
        5 if digits[2] == b':' => (number(&digits[..2])?, number(&digits[3..])?),
        _ => return None,
    };
    Some(sign * (hours * 3600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn utc(zone: Option<&str>, text: &str) -> (String, Option<&'static str>) {
        let time = Clock::new(zone).utc(text.as_bytes()).unwrap();
        (String::from_utf8(time.as_bytes().to_vec()).unwrap(), time.source)
    }

    proptest! {
        /// Our own reading is the library's, or none.
        #[test]
        fn the_milliseconds_of_a_time_are_what_the_library_says(ms in 0_u64..253_402_300_799_999, digits in 0_usize..=9, noise in "[0-9TZ:.+ -]{0,30}") {
            let time = jiff::Timestamp::from_millisecond(ms.cast_signed()).unwrap();
            let text = format!("{time:.digits$}");
            let expected: jiff::Timestamp = text.parse().unwrap();
            let own = plain_unix_ms(text.as_bytes());
            prop_assert_eq!(own, Some(expected.as_millisecond().cast_unsigned()), "{}", text);
            prop_assert_eq!(UtcTime::from_rfc3339(text.as_bytes()).unix_ms(), expected.as_millisecond().cast_unsigned());
            if let Some(ms) = plain_unix_ms(noise.as_bytes()) {
                prop_assert_eq!(ms.cast_signed(), noise.parse::<jiff::Timestamp>().unwrap().as_millisecond());
            }
        }
    }

    #[test]
    fn a_month_has_its_own_days() {
        for (year, month) in (1970..=2404).flat_map(|year| (1..=12).map(move |month| (year, month))) {
            let first = jiff::civil::date(year, month, 1);
            assert_eq!(days_of(year as u64, month as u64), first.days_in_month() as u64, "{first}");
        }
        assert_eq!(plain_unix_ms(b"2026-11-31T00:00:00Z"), None);
        assert_eq!(plain_unix_ms(b"2100-02-29T00:00:00Z"), None);
        assert_eq!(plain_unix_ms(b"2026-11-00T00:00:00Z"), None);
    }

    #[test]
    fn utc_is_taken_as_it_is() {
        assert_eq!(utc(None, "2026-11-20 20:28:31.135 UTC"), ("2026-11-20T20:28:31.135Z".into(), None));
    }

    #[test]
    fn the_precision_of_the_source_is_kept() {
        assert_eq!(utc(None, "2026-11-20 20:28:31 GMT").0, "2026-11-20T20:28:31Z");
        assert_eq!(utc(None, "2026-11-20 20:28:31.035695494 UTC").0, "2026-11-20T20:28:31.035695494Z");
    }

    #[test]
    fn a_numeric_offset_speaks_for_itself() {
        assert_eq!(utc(None, "2026-11-20 17:40:24.001 -03"), ("2026-11-20T20:40:24.001Z".into(), None));
        assert_eq!(utc(None, "2026-01-01 02:00:00.000 +0530"), ("2025-12-31T20:30:00.000Z".into(), None));
    }

    #[test]
    fn an_ambiguous_abbreviation_needs_the_stated_zone() {
        let stated = utc(Some("Asia/Kolkata"), "2026-11-21 01:58:38.500 IST");
        assert_eq!(stated, ("2026-11-20T20:28:38.500Z".into(), Some("config:timezone")));
        let unstated = utc(None, "2026-11-21 01:58:38.500 IST");
        assert_eq!(unstated, ("2026-11-21T01:58:38.500Z".into(), Some("assumed:utc")));
    }

    #[test]
    fn the_abbreviation_tells_the_two_hours_of_a_fall_back_apart() {
        let mut clock = Clock::new(Some("Europe/Berlin"));
        let mut at = |text: &str| String::from_utf8(clock.utc(text.as_bytes()).unwrap().as_bytes().to_vec()).unwrap();
        assert_eq!(at("2026-10-25 02:30:00.000 CEST"), "2026-10-25T00:30:00.000Z");
        assert_eq!(at("2026-10-25 02:30:00.000 CET"), "2026-10-25T01:30:00.000Z");
    }

    #[test]
    fn a_time_without_a_zone_is_the_operators_or_taken_for_utc() {
        assert_eq!(
            utc(Some("Europe/Berlin"), "2026-07-01 12:00:00"),
            ("2026-07-01T10:00:00Z".into(), Some("config:timezone"))
        );
        assert_eq!(
            utc(None, "2026-07-01 12:00:00.123456"),
            ("2026-07-01T12:00:00.123456Z".into(), Some("assumed:utc"))
        );
    }

    #[test]
    fn a_time_in_the_second_of_the_last_one_is_what_it_is_alone() {
        let texts = [
            "2026-11-20 20:28:31.135 UTC",
            "2026-11-20 20:28:31.136 UTC",
            "2026-11-20 20:28:31.136 UTC",
            "2026-11-20 20:28:31.13 UTC",
            "2026-11-20 20:28:31.135UTC",
            "2026-11-20 20:28:31.1357 UTC",
            "2026-11-20 20:28:31.9997 UTC",
            "2026-11-20 20:28:31.99x7 UTC",
            "2026-11-20 20:28:31 UTC",
            "2026-11-20 20:28:31.136 +02",
            "2026-11-20 20:28:31.136 CET",
            "2026-11-20 20:28:31.137",
            "2026-11-20 20:28:31.138",
            "2026-11-20 20:28:31.13",
        ];
        for (before, text) in texts.iter().flat_map(|before| texts.map(|text| (before, text))) {
            let mut clock = Clock::new(Some("Europe/Berlin"));
            clock.utc(before.as_bytes());
            let alone = Clock::new(Some("Europe/Berlin")).utc(text.as_bytes());
            assert_eq!(clock.utc(text.as_bytes()), alone, "{text} after {before}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "yesterday",
            "2026-11-20 20:28:31.135 ",
            "2026-11-20 20:28:31,135 UTC",
            "2026-11-20 20:28:31.12x UTC",
            "2026-02-30 20:28:31.123 UTC",
            "2026-11-20 24:28:31.123 UTC",
            "2026-11-20 20:28:61.123 UTC",
        ] {
            assert_eq!(Clock::new(None).utc(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_time_without_a_year_is_of_the_last_one_in_which_it_is_not_later_than_its_file() {
        let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_millisecond() as u64;
        let year_of = |row: &str, written: &str| {
            let latest = Latest { unix_ms: at(written), is_of_file: true };
            let time = Clock::new(Some("UTC")).utc_without_year(row.as_bytes(), latest)?;
            assert_eq!(time.source, Some("config:timezone,year:file"));
            Some(String::from_utf8(time.as_bytes().to_vec()).unwrap())
        };
        for (row, written, expected) in [
            ("Nov 20 20:28:31", "2026-11-20T20:28:32Z", "2026-11-20T20:28:31Z"),
            // New Year, on either side of it, and a host whose clock is ahead.
            ("Dec 31 23:59:59", "2027-01-01T00:00:05Z", "2026-12-31T23:59:59Z"),
            ("Jan  1 00:00:01", "2027-01-01T00:00:05Z", "2027-01-01T00:00:01Z"),
            ("Jan  1 00:00:20", "2026-12-31T23:59:50Z", "2027-01-01T00:00:20Z"),
            // A file that was rotated away long ago.
            ("Mar  3 01:02:03", "2024-02-01T00:00:00Z", "2023-03-03T01:02:03Z"),
            ("Feb 29 12:00:00", "2027-06-01T00:00:00Z", "2024-02-29T12:00:00Z"),
        ] {
            assert_eq!(year_of(row, written).as_deref(), Some(expected), "{row}");
        }
        for row in ["Nov 31 20:28:31", "Foo 20 20:28:31", "Nov 20", "Nov 20 25:00:00", ""] {
            assert_eq!(year_of(row, "2026-11-20T20:28:32Z"), None, "{row}");
        }
    }

    #[test]
    fn a_time_without_year_and_zone_says_that_both_are_derived() {
        let latest = Latest { unix_ms: 1_795_206_511_135, is_of_file: false };
        let time = Clock::new(None).utc_without_year(b"Nov 20 20:28:31", latest).unwrap();
        assert_eq!(time.source, Some("assumed:utc,year:agent-clock"));
    }
}
