//! Whatever bytes are given: a verdict, never a panic, and never "whole" for a trail that was changed.

mod trail;

use proptest::prelude::*;
use sealtrail_seal::{Class, Signer, Verdict, Verifier, VerifierKey};
use trail::{Lines, signer, trail};

fn judge(segments: &[(Option<u64>, Lines)]) -> Verdict {
    let mut verifier = Verifier::new(vec![signer(0).verifier().clone()]);
    for (first, lines) in segments {
        verifier.begin_segment("s", *first, first.map(|n| n.wrapping_add(3)));
        lines.iter().for_each(|line| verifier.line(line));
        verifier.damaged("x");
        verifier.end_segment(lines.len() % 2 == 0);
    }
    verifier.finish()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_lines_give_a_verdict(segments in proptest::collection::vec(
        (any::<Option<u64>>(), proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 0..8)), 0..4)
    ) {
        prop_assert_ne!(judge(&segments).class, Class::Whole);
    }

    #[test]
    fn real_lines_in_any_order_with_any_number_changed_give_a_verdict(
        picks in proptest::collection::vec((0usize..22, any::<Option<u64>>()), 0..30), names in any::<[u64; 2]>()
    ) {
        let lines: Lines = trail().concat();
        let picked: Lines = picks.iter().map(|(at, number)| with_number(&lines[*at], *number)).collect();
        let (left, right) = picked.split_at(picked.len() / 2);
        judge(&[(Some(names[0]), left.to_vec()), (Some(names[1]), right.to_vec())]);
    }

    #[test]
    fn any_text_is_no_key_or_comes_back(text in "\\PC*", name in "[a-z+/ ]{0,6}") {
        if let Ok(key) = text.parse::<VerifierKey>() {
            prop_assert_eq!(key.to_string(), text);
        }
        let _ = Signer::from_text(&format!("PRIVATE+KEY+{name}+{name}"));
    }
}

/// The line with its first number after a colon replaced.
fn with_number(line: &[u8], number: Option<u64>) -> Vec<u8> {
    let text = String::from_utf8_lossy(line).into_owned();
    match (number, text.find("\"first\":")) {
        (Some(number), Some(at)) => {
            let rest = text[at + 8..].trim_start_matches(|c: char| c.is_ascii_digit());
            format!("{}{number}{rest}", &text[..at + 8]).into_bytes()
        }
        _ => text.into_bytes(),
    }
}
