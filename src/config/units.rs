//! Sizes and durations as people write them: `16MiB`, `500ms`.
//!
//! Whole numbers with one unit: `1.5GiB` and `1m30s` are refused, so that a value has few spellings and `check` shows it as
//! it was written.

use std::time::Duration;

use super::nearest;

/// Largest first within each kind.
const SIZES: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

/// In milliseconds; largest first.
const DURATIONS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads `16MiB`, in bytes. The error is a hint.
pub fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let units = SIZES.map(|(unit, _)| unit);
    if unit.is_empty() && !number.is_empty() {
        return number.parse().map_err(|_| "the number is too large".to_owned());
    }
    scaled(number, unit, &SIZES).map_err(|wrong| match wrong {
        Wrong::Number => "a whole number and a unit, such as \"16MiB\"".to_owned(),
        Wrong::Unit => format!("{}units are B, KB, MB, GB, KiB, MiB, GiB", meant(number, unit, &units)),
        Wrong::TooLarge => "the number is too large".to_owned(),
    })
}

/// Reads `500ms`. The error is a hint.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let units = DURATIONS.map(|(unit, _)| unit);
    let millis = scaled(number, unit, &DURATIONS).map_err(|wrong| match wrong {
        Wrong::Number => "a whole number and a unit, such as \"30s\"".to_owned(),
        Wrong::Unit => format!("{}units are ms, s, m, h, d", meant(number, unit, &units)),
        Wrong::TooLarge => "the number is too large".to_owned(),
    })?;
    Ok(Duration::from_millis(millis))
}

/// Writes bytes with the largest unit that needs no fraction.
pub fn show_size(bytes: u64) -> String {
    let (unit, scale) = whole(bytes, &SIZES).unwrap_or(("B", 1));
    format!("{}{unit}", bytes / scale)
}

/// Writes a duration with the largest unit that needs no fraction.
pub fn show_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let (unit, scale) = whole(millis, &DURATIONS).unwrap_or(("ms", 1));
    format!("{}{unit}", millis / scale)
}

/// Writes bytes for a person who wants to know about how many: `1.2 MiB`.
pub fn show_about(bytes: u64) -> String {
    match SIZES[..3].iter().find(|(_, scale)| bytes >= *scale) {
        Some((unit, scale)) => format!("{:.1} {unit}", bytes as f64 / *scale as f64),
        None => format!("{bytes} B"),
    }
}

enum Wrong {
    Number,
    Unit,
    TooLarge,
}

/// The digits, and what follows them.
fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    (number, unit.trim_start())
}

fn scaled(number: &str, unit: &str, units: &[(&str, u64)]) -> Result<u64, Wrong> {
    if number.is_empty() || unit.is_empty() || unit.starts_with('.') {
        return Err(Wrong::Number);
    }
    let (_, scale) = units.iter().find(|(name, _)| *name == unit).ok_or(Wrong::Unit)?;
    let number: u64 = number.parse().map_err(|_| Wrong::TooLarge)?;
    number.checked_mul(*scale).ok_or(Wrong::TooLarge)
}

fn meant(number: &str, unit: &str, units: &[&'static str]) -> String {
    match nearest::nearest(unit, units.iter().copied()) {
        Some(unit) => format!("did you mean \"{number}{unit}\"? "),
        None => String::new(),
    }
}

fn whole<'a>(value: u64, units: &[(&'a str, u64)]) -> Option<(&'a str, u64)> {
    units.iter().copied().find(|(_, scale)| value > 0 && value.is_multiple_of(*scale))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn kilobytes_and_kibibytes_differ() {
        assert_eq!(size("10KB"), Ok(10_000));
        assert_eq!(size("10 KiB"), Ok(10_240));
        assert_eq!(size("10"), Ok(10));
    }

    #[test]
    fn a_wrong_unit_is_named_with_the_nearest() {
        assert_eq!(size("10GiG"), Err("did you mean \"10GiB\"? units are B, KB, MB, GB, KiB, MiB, GiB".to_owned()));
        assert_eq!(duration("5 min"), Err("units are ms, s, m, h, d".to_owned()));
    }

    #[test]
    fn a_duration_needs_a_unit() {
        assert!(duration("5").is_err());
        assert!(duration("1.5s").is_err());
        assert!(duration("").is_err());
    }

    #[test]
    fn what_no_integer_holds_is_refused() {
        assert!(size("99999999999GiB").is_err());
        assert!(size("99999999999999999999999").is_err());
    }

    proptest! {
        #[test]
        fn what_is_shown_can_be_read_again(bytes: u64, millis: u64) {
            prop_assert_eq!(size(&show_size(bytes)), Ok(bytes));
            let duration_given = Duration::from_millis(millis);
            prop_assert_eq!(duration(&show_duration(duration_given)), Ok(duration_given));
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = (size(&text), duration(&text));
        }
    }
}
