//! Trails in folders: read from compressed segments, with damage to files and not to lines only.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use sealtrail::verify::{Report, VerifyError, VerifyOptions, verify};
use sealtrail_seal::{Chain, Class, FindingKind, Rows, Seal, Signer};

const ORIGIN: &str = "acme/prod/db";
const TIME: &str = "2026-01-02T03:04:05.678Z";

fn signer() -> Signer {
    Signer::from_seed(ORIGIN, [7; 32]).unwrap()
}

fn frame(lines: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(lines).unwrap();
    encoder.finish().unwrap()
}

/// A segment's path and the frames in it.
type Segment = (PathBuf, Vec<Vec<u8>>);

/// A state directory with two segments of three blocks.
fn state() -> (tempfile::TempDir, Vec<Segment>) {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("journal")).unwrap();
    fs::create_dir_all(dir.path().join("keys")).unwrap();
    fs::write(dir.path().join("keys/acme_prod_db.pub"), format!("{}\n", signer().verifier())).unwrap();
    let mut chain = Chain::new(ORIGIN);
    let segments = (0..2).map(|_| segment(&mut chain, &dir.path().join("journal"))).collect();
    (dir, segments)
}

fn segment(chain: &mut Chain, dir: &Path) -> Segment {
    let path = dir.join(format!("{:020}.ndjson.zst", chain.lines()));
    let frames: Vec<Vec<u8>> = (0..3).map(|block| self::block(chain, block)).collect();
    fs::write(&path, frames.concat()).unwrap();
    (path, frames)
}

fn block(chain: &mut Chain, block: u64) -> Vec<u8> {
    let mut out = Vec::new();
    if block == 0 {
        chain.begin_segment(signer().verifier(), Vec::new(), TIME, &mut out).unwrap();
    }
    for i in 0..3 {
        let offset = chain.block() * 30 + i * 10;
        let line =
            format!(r#"{{"v":1,"type":"event","id":"f:{offset}","at":{{"file":"a","offset":{offset},"length":10}}}}"#);
        chain.push(line.as_bytes());
        out.extend_from_slice(format!("{line}\n").as_bytes());
    }
    let seal = Seal { rows: Rows { read: 3, ..Rows::default() }, closes: block == 2, ..Seal::default() };
    chain.end_block(seal, TIME, &signer(), &mut out).unwrap();
    frame(&out)
}

fn check(path: &Path) -> Report {
    verify(&VerifyOptions { paths: vec![path.to_owned()], keys: Vec::new() }, &mut |_| {}).unwrap()
}

#[test]
fn state_directory_verifies_under_the_key_beside_it_and_says_so() {
    let (dir, _) = state();
    let report = check(dir.path());
    assert_eq!(report.exit_code(), 0, "{report}");
    let text = report.to_string();
    assert!(text.starts_with("trail verified: 32 lines, 6 blocks, 2 segments, root "), "{text}");
    assert!(text.contains("compare its id with one you hold elsewhere"), "{text}");
    assert_eq!(serde_json::to_value(&report).unwrap()["verdict"]["class"], "whole");
}

#[test]
fn object_store_layout_verifies_with_a_given_key() {
    let (dir, segments) = state();
    let mirror = tempfile::tempdir().unwrap();
    for (n, (path, _)) in segments.iter().enumerate() {
        let day = mirror.path().join(format!("evidence/trail=acme/prod/db/date=2026-01-0{}", n + 1));
        fs::create_dir_all(&day).unwrap();
        let name = format!("{:020}-{:020}.ndjson.zst", n * 16, n * 16 + 15);
        fs::copy(path, day.join(name)).unwrap();
    }
    let keys = vec![dir.path().join("keys/acme_prod_db.pub")];
    let options = VerifyOptions { paths: vec![mirror.path().to_owned()], keys };
    let report = verify(&options, &mut |_| {}).unwrap();
    assert_eq!(report.exit_code(), 0, "{report}");
    let options = VerifyOptions { keys: Vec::new(), ..options };
    assert!(matches!(verify(&options, &mut |_| {}), Err(VerifyError::NoKey(_))));
}

#[test]
fn flipped_byte_in_a_frame_is_one_finding_and_the_rest_is_read() {
    let (dir, segments) = state();
    let (path, frames) = &segments[0];
    for at in (0..frames[1].len()).step_by(5) {
        let mut changed = frames.clone();
        changed[1][at] ^= 0x10;
        // The window's size, for one, may change without a byte of content: compression is not evidence.
        if zstd::stream::decode_all(&*changed[1]).ok() == zstd::stream::decode_all(&*frames[1]).ok() {
            continue;
        }
        fs::write(path, changed.concat()).unwrap();
        let report = check(dir.path());
        assert_eq!(report.verdict.class, Class::Broken, "byte {at}: {report}");
        assert_eq!(report.verdict.findings.len(), 1, "byte {at}: {report}");
        assert_eq!(report.verdict.findings[0].block, Some(1), "byte {at}: {report}");
        assert_eq!(report.verdict.counts.blocks, 5, "byte {at}: {report}");
    }
}

#[test]
fn torn_tail_of_the_last_segment_is_incomplete_and_elsewhere_broken() {
    let (dir, segments) = state();
    for (segment, class) in [(1, Class::Incomplete), (0, Class::Broken)] {
        let (path, frames) = &segments[segment];
        let whole = frames.concat();
        fs::write(path, &whole[..whole.len() - 9]).unwrap();
        let report = check(dir.path());
        assert_eq!(report.verdict.class, class, "{report}");
        fs::write(path, whole).unwrap();
    }
}

#[test]
fn single_segment_is_checked_alone_and_says_from_where() {
    let (_dir, segments) = state();
    let report = check(&segments[1].0);
    assert_eq!((report.exit_code(), report.verdict.from_line), (0, 16), "{report}");
    assert_eq!(report.verdict.findings[0].kind, FindingKind::BeginsLate);
}

#[test]
fn frame_that_holds_no_block_is_a_finding() {
    let (dir, segments) = state();
    let (path, frames) = &segments[0];
    let stray = frame(&vec![b'\n'; 1 << 16]);
    fs::write(path, [frames[0].clone(), stray, frames[1].clone(), frames[2].clone()].concat()).unwrap();
    assert_eq!(check(dir.path()).verdict.class, Class::Broken);
}

#[test]
fn example_of_the_format_is_whole_under_its_key() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/format");
    let zst = docs.join("example.ndjson.zst");
    let lines = zstd::stream::decode_all(fs::File::open(&zst).unwrap()).unwrap();
    assert_eq!(lines, fs::read(docs.join("example.ndjson")).unwrap());
    let options = VerifyOptions { paths: vec![zst], keys: vec![docs.join("example.pub")] };
    assert_eq!(verify(&options, &mut |_| {}).unwrap().exit_code(), 0);
}

#[test]
fn any_bytes_in_a_file_give_a_verdict() {
    let (dir, segments) = state();
    for bytes in
        [&b""[..], b"x", &[0x28, 0xb5, 0x2f, 0xfd], &[0x28, 0xb5, 0x2f, 0xfd, 0, 0, 0, 0, 0, 1, 2], &[0xff; 4096]]
    {
        fs::write(&segments[0].0, bytes).unwrap();
        assert_eq!(check(dir.path()).verdict.class, Class::Broken, "{bytes:?}");
    }
}

/// The state directory's segments as an archive keeps them that was told `format = "gzip"`.
fn gzip_mirror(segments: &[Segment]) -> (tempfile::TempDir, Vec<PathBuf>) {
    use std::io::Write;
    let mirror = tempfile::tempdir().unwrap();
    let mut paths = Vec::new();
    for (n, (_, frames)) in segments.iter().enumerate() {
        let lines: Vec<u8> = frames.iter().flat_map(|frame| zstd::stream::decode_all(&**frame).unwrap()).collect();
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
        encoder.write_all(&lines).unwrap();
        let path = mirror.path().join(format!("{:020}-{:020}.ndjson.gz", n * 16, n * 16 + 15));
        fs::write(&path, encoder.finish().unwrap()).unwrap();
        paths.push(path);
    }
    fs::write(mirror.path().join("acme_prod_db.pub"), format!("{}\n", signer().verifier())).unwrap();
    (mirror, paths)
}

#[test]
fn segments_kept_as_gzip_verify_to_the_same_root() {
    let (dir, segments) = state();
    let (mirror, _) = gzip_mirror(&segments);
    let (zstd, gzip) = (check(dir.path()), check(mirror.path()));
    assert_eq!(gzip.exit_code(), 0, "{gzip}");
    assert_eq!(gzip.verdict.root, zstd.verdict.root);
    assert_eq!(gzip.verdict.counts, zstd.verdict.counts);
}

#[test]
fn a_gzip_segment_that_was_altered_never_verifies() {
    let (_dir, segments) = state();
    for at in (10..).step_by(7) {
        let (mirror, paths) = gzip_mirror(&segments);
        let mut bytes = fs::read(&paths[0]).unwrap();
        if at >= bytes.len() {
            break;
        }
        // Behind the end of the packed data, up to the next byte's beginning, are bits that nobody reads. Length and checksum follow.
        let is_last_of_data = at + 9 == bytes.len();
        bytes[at] ^= 0x10;
        let class = if is_last_of_data && unpacks(&bytes) { Class::Whole } else { Class::Broken };
        fs::write(&paths[0], bytes).unwrap();
        let report = check(mirror.path());
        assert_eq!(report.verdict.class, class, "byte {at}: {report}");
    }
}

fn unpacks(gzip: &[u8]) -> bool {
    flate2::read::GzDecoder::new(gzip).read_to_end(&mut Vec::new()).is_ok()
}

#[test]
fn a_gzip_segment_that_is_cut_is_incomplete_at_the_end_and_elsewhere_broken() {
    let (_dir, segments) = state();
    for (segment, class) in [(1, Class::Incomplete), (0, Class::Broken)] {
        let (mirror, paths) = gzip_mirror(&segments);
        let bytes = fs::read(&paths[segment]).unwrap();
        fs::write(&paths[segment], &bytes[..bytes.len() - 20]).unwrap();
        assert_eq!(check(mirror.path()).verdict.class, class);
    }
}
