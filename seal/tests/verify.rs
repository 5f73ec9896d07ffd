//! Whatever is done to a trail is found, in the block where it was done and nowhere else.

mod trail;

use sealtrail_seal::{Class, FindingKind, Verdict};
use trail::{Lines, block_of, row, signer, trail, verify, verify_named};

/// Asserts that something was found, all of it in `block`, and that the other blocks hold.
fn found_only_in(verdict: &Verdict, block: u64, what: &str) {
    assert_ne!(verdict.class, Class::Whole, "{what}: nothing found");
    for finding in &verdict.findings {
        assert_eq!(finding.block, Some(block), "{what}: {:#?}", verdict.findings);
    }
    assert_eq!(verdict.findings.len(), 1, "{what}: {:#?}", verdict.findings);
    assert!(verdict.counts.blocks >= 3, "{what}: {:?} {:#?}", verdict.counts, verdict.findings);
}

/// Every line of the trail, with its segment.
fn places() -> impl Iterator<Item = (usize, usize)> {
    let sizes: Vec<usize> = trail().iter().map(Vec::len).collect();
    sizes.into_iter().enumerate().flat_map(|(segment, lines)| (0..lines).map(move |line| (segment, line)))
}

#[test]
fn untouched_trail_is_whole() {
    let verdict = verify(&trail());
    assert_eq!(verdict.class, Class::Whole, "{:#?}", verdict.findings);
    assert_eq!((verdict.counts.lines, verdict.counts.blocks, verdict.counts.segments), (22, 4, 2));
    assert_eq!((verdict.counts.events, verdict.counts.checkpoints, verdict.size), (12, 4, 21));
    assert_eq!(verdict.origin.as_deref(), Some(trail::ORIGIN));
    assert_eq!(verdict.keys, [signer(0).verifier().label(), signer(1).verifier().label()]);
}

#[test]
fn every_flipped_byte_is_found_in_its_block() {
    let original = trail();
    // Without optimisation a signature takes milliseconds: every third byte then, all of them in a release build.
    let step = if cfg!(debug_assertions) { 3 } else { 1 };
    for (segment, line) in places() {
        for at in (line % step..original[segment][line].len()).step_by(step) {
            let mut changed = original.clone();
            changed[segment][line][at] ^= 1;
            let what = format!("segment {segment} line {line} byte {at}");
            found_only_in(&verify(&changed), block_of(segment, line), &what);
        }
    }
}

#[test]
fn every_deleted_line_is_found_in_its_block() {
    for (segment, line) in places() {
        let mut changed = trail();
        changed[segment].remove(line);
        found_only_in(&verify(&changed), block_of(segment, line), &format!("segment {segment} line {line}"));
    }
}

#[test]
fn every_repeated_line_is_found_near_its_block() {
    for (segment, line) in places() {
        let mut changed = trail();
        let copy = changed[segment][line].clone();
        changed[segment].insert(line, copy);
        let verdict = verify(&changed);
        assert_ne!(verdict.class, Class::Whole);
        let block = block_of(segment, line);
        let near = |found: Option<u64>| found.is_some_and(|found| found == block || found == block + 1);
        assert!(verdict.findings.iter().all(|f| near(f.block)), "{segment} {line}: {:#?}", verdict.findings);
    }
}

#[test]
fn every_swap_of_two_lines_is_found() {
    for (segment, line) in places().filter(|(_, line)| *line < 10) {
        let mut changed = trail();
        changed[segment].swap(line, line + 1);
        let verdict = verify(&changed);
        assert_ne!(verdict.class, Class::Whole);
        if block_of(segment, line) == block_of(segment, line + 1) && ![4, 9].contains(&line) {
            found_only_in(&verdict, block_of(segment, line), &format!("segment {segment} line {line}"));
        }
    }
}

#[test]
fn every_inserted_line_is_found() {
    for (segment, line) in places() {
        let mut changed = trail();
        changed[segment].insert(line, row(7));
        let verdict = verify(&changed);
        assert_eq!(verdict.class, Class::Broken, "segment {segment} line {line}");
    }
}

#[test]
fn every_cut_inside_a_block_ends_early_or_breaks() {
    for (segment, line) in places().filter(|(_, line)| ![0, 6].contains(line)) {
        let mut changed = trail();
        changed[segment].truncate(line);
        let verdict = verify(&changed);
        let expected = if segment == 1 { Class::Incomplete } else { Class::Broken };
        assert_eq!(verdict.class, expected, "segment {segment} line {line}: {:#?}", verdict.findings);
        assert_eq!(verdict.findings.len(), 1, "{:#?}", verdict.findings);
    }
}

#[test]
fn cut_between_blocks_is_found_before_another_segment() {
    let mut changed = trail();
    changed[0].truncate(6);
    let verdict = verify(&changed);
    assert_eq!(verdict.findings.len(), 1, "{:#?}", verdict.findings);
    assert_eq!((verdict.findings[0].kind, verdict.findings[0].lines), (FindingKind::Missing, Some((6, 10))));
}

#[test]
fn cut_at_the_very_end_is_proven_by_a_checkpoint_seen_elsewhere() {
    let mut short = trail();
    short[1].truncate(6);
    assert_eq!(verify(&short).class, Class::Whole);
    let last: serde_json::Value = serde_json::from_slice(trail()[1].last().unwrap()).unwrap();
    let seen = signer(1).verifier().verify(last["checkpoint"].as_str().unwrap()).unwrap();
    let mut verifier = sealtrail_seal::Verifier::new(vec![signer(0).verifier().clone()]);
    verifier.expect(seen);
    for (first, lines) in [0, 11].into_iter().zip(&short) {
        verifier.begin_segment("s", Some(first), None);
        lines.iter().for_each(|line| verifier.line(line));
        verifier.end_segment(false);
    }
    let verdict = verifier.finish();
    assert_eq!((verdict.class, verdict.findings[0].kind), (Class::Broken, FindingKind::Truncated));
}

#[test]
fn deleted_block_is_one_finding() {
    let mut changed = trail();
    changed[1].drain(1..6);
    assert_ne!(verify(&changed).class, Class::Whole);
    let mut changed = trail();
    changed[0].drain(6..11);
    let verdict = verify(&changed);
    assert_eq!(verdict.findings.len(), 1, "{:#?}", verdict.findings);
    assert_eq!((verdict.findings[0].kind, verdict.findings[0].lines), (FindingKind::Missing, Some((6, 10))));
}

#[test]
fn missing_first_segment_is_incomplete_or_checked_alone() {
    let second = trail()[1].clone();
    let mut verifier = sealtrail_seal::Verifier::new(vec![signer(1).verifier().clone()]);
    verifier.begin_segment("11", Some(11), None);
    second.iter().for_each(|line| verifier.line(line));
    verifier.end_segment(false);
    let verdict = verifier.finish();
    assert_eq!((verdict.class, verdict.from_line), (Class::Whole, 11), "{:#?}", verdict.findings);
    assert_eq!(verdict.findings[0].kind, FindingKind::BeginsLate);
    // Under the first segment's key alone nobody vouches for the second's.
    assert_eq!(verify_named(&[(11, second)]).class, Class::Unknown);
}

#[test]
fn segments_that_changed_names_are_found() {
    let [first, second]: [Lines; 2] = trail().try_into().unwrap();
    let verdict = verify_named(&[(0, second), (11, first)]);
    assert_eq!(verdict.class, Class::Broken);
    assert!(verdict.findings.iter().any(|f| f.kind == FindingKind::Renamed));
}

#[test]
fn segment_signed_by_a_key_that_nobody_named_is_found() {
    let [first, mut second]: [Lines; 2] = trail().try_into().unwrap();
    let text = String::from_utf8(second[0].clone()).unwrap();
    let stranger = signer(9).verifier().to_string();
    second[0] = text.replace(&signer(1).verifier().to_string(), &stranger).into_bytes();
    assert_eq!(verify(&[first, second]).class, Class::Broken);
}

#[test]
fn altered_lines_in_two_blocks_are_two_findings() {
    let mut changed = trail();
    changed[0][2][70] ^= 1;
    changed[0][7][70] ^= 1;
    let verdict = verify(&changed);
    let blocks: Vec<_> = verdict.findings.iter().map(|f| f.block).collect();
    assert_eq!(blocks, [Some(0), Some(1)], "{:#?}", verdict.findings);
}

#[test]
fn missing_row_is_named_by_the_bytes_that_have_no_line() {
    let mut changed = trail();
    changed[0].remove(2);
    let finding = verify(&changed).findings.remove(0);
    assert!(finding.detail.contains("bytes 10..20 have no line"), "{finding}");
    assert_eq!(finding.lines, Some((2, 2)));
}
