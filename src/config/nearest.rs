//! The nearest valid spelling of a word that is none.

/// The candidate that a person most likely meant, if any is near enough: within a third of the word's letters, with
/// case and the difference of `-`, `_` and blank left aside.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = plain(word);
    let reach = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&word, &plain(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= reach && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// "did you mean …?", or all that would be valid when nothing is near.
pub(crate) fn hint<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str> + Clone) -> String {
    match nearest(word, candidates.clone()) {
        Some(candidate) => format!("did you mean {candidate}?"),
        None => format!("valid: {}", list(candidates)),
    }
}

/// `a, b, c`.
pub(crate) fn list<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().collect::<Vec<_>>().join(", ")
}

fn plain(word: &str) -> String {
    word.to_lowercase().replace(['-', ' '], "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_left_out_finds_the_key() {
        assert_eq!(nearest("jornal_max_bytes", ["name", "journal_max_bytes"]), Some("journal_max_bytes"));
    }

    #[test]
    fn dashes_and_case_do_not_count() {
        assert_eq!(nearest("Start-At", ["start_at"]), Some("start_at"));
    }

    #[test]
    fn a_word_far_from_all_finds_none() {
        assert_eq!(nearest("banana", ["name", "paths"]), None);
    }

    #[test]
    fn one_letter_does_not_turn_into_any_other() {
        assert_eq!(nearest("x", ["s"]), None);
    }
}
