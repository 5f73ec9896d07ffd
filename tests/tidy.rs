//! Invariants of the code base, most of them of absence: what is nowhere cannot go wrong there.
//!
//! Text is searched, not syntax: comments are left out, and everything from a file's `#[cfg(test)]` module on. A check that stands in
//! somebody's way is changed here, with its reason, not worked around.

#![allow(clippy::expect_used, clippy::panic, reason = "tests")]

use std::fs;
use std::path::Path;

/// Syncing, renaming, and making and writing files: one file holds all of it, so that what survives a power cut can be read in one
/// place.
const DURABLE: &[&str] = &["src/disk.rs", "src/durable.rs"];

/// The same, and who writes files that a command was asked for: asked again, it makes them again.
const WRITING: &[&str] = &["src/disk.rs", "src/demo.rs", "src/cli/man.rs"];

/// Who may know that there is a runtime.
const ASYNC: &[&str] = &[
    "src/ship/",
    "src/sink/",
    "src/health/",
    "src/status.rs",
    "src/run.rs",
    "src/cli/",
    // Publishes the journal's head through tokio's watch cell, which needs no runtime on this side.
    "src/core.rs",
];

/// Where threads begin: one who reads it knows them all.
const THREADS: &[&str] = &["src/run.rs"];

/// Names that say nothing: what they would hold has a name of its own, or no home yet.
const NAMELESS: &[&str] = &["util", "utils", "common", "helper", "helpers", "misc", "manager"];

/// Crates that compute and do nothing else.
const PURE: &[&str] = &["parsers/src/", "seal/src/", "sql/src/"];

#[test]
fn every_file_opens_with_what_it_is_for() {
    let silent = sources(&["src", "tests", "parsers", "seal", "sql", "evidence", "fuzz"]);
    let silent: Vec<&str> =
        silent.iter().filter(|file| !file.text.starts_with("//! ")).map(|file| file.path.as_str()).collect();
    assert!(silent.is_empty(), "these files do not open with `//! `, a sentence on what they are for: {silent:#?}");
}

#[test]
fn no_file_has_a_name_that_says_nothing() {
    let all = sources(&["src", "tests", "parsers", "seal", "sql", "evidence", "fuzz"]);
    let nameless: Vec<&str> =
        all.iter().map(|file| file.path.as_str()).filter(|path| path.split(['/', '.', '_']).any(is_nameless)).collect();
    assert!(nameless.is_empty(), "name these after what they hold: {nameless:#?}");
}

#[test]
fn durable_is_the_only_door_to_what_must_survive_a_power_cut() {
    let folders = ["src/", "parsers/src/", "seal/src/", "sql/src/"];
    let lasting = ["fsync", "fdatasync", "sync_all", "sync_data", "fs::rename", "create_new(true)", ".set_len("];
    assert_absent(&folders, DURABLE, &lasting, "call a function of durable.rs instead");
    let writing = ["fs::write(", "File::create", "create(true)"];
    assert_absent(&folders, WRITING, &writing, "call a function of durable.rs instead");
}

#[test]
fn tokio_lives_at_the_edge() {
    let words = ["tokio::", "async fn", ".await"];
    assert_absent(&["src/", "parsers/src/", "seal/src/", "sql/src/"], ASYNC, &words, "the core is synchronous");
}

#[test]
fn threads_begin_in_one_file() {
    let words = ["thread::spawn", "thread::Builder", "thread::scope"];
    assert_absent(&["src/", "parsers/src/", "seal/src/", "sql/src/"], THREADS, &words, "start threads in run.rs");
}

#[test]
fn parsing_and_sealing_do_no_io() {
    let words = [
        "std::fs",
        "std::net",
        "std::process",
        "std::env",
        "std::thread",
        "std::os",
        "SystemTime::now",
        "Instant::now",
        "println!",
    ];
    assert_absent(PURE, &[], &words, "bytes in, values out: the agent reads and writes");
}

#[test]
fn nothing_is_sent_over_a_channel_without_a_bound() {
    let words = ["mpsc::channel(", "mpsc::channel::<", "unbounded_channel", "channel::unbounded"];
    assert_absent(
        &["src/", "parsers/src/", "seal/src/", "sql/src/"],
        &[],
        &words,
        "use sync_channel or a bounded one, with a limit of limits.rs",
    );
}

#[test]
fn every_dependency_says_why_it_is_there() {
    for manifest in [
        "Cargo.toml",
        "parsers/Cargo.toml",
        "seal/Cargo.toml",
        "sql/Cargo.toml",
        "sql/oracle/Cargo.toml",
        "evidence/Cargo.toml",
        "fuzz/Cargo.toml",
    ] {
        if Path::new(manifest).exists() {
            let text = read(manifest);
            let silent = dependencies_without_reason(&text);
            assert!(silent.is_empty(), "{manifest}: no `#` reason beside or above {silent:?}");
        }
    }
}

#[test]
fn links_of_the_documentation_lead_somewhere() {
    let mut broken = Vec::new();
    for page in pages() {
        let folder = Path::new(&page).parent().expect("a folder").to_owned();
        let text = read(&page);
        let local = links(&text)
            .into_iter()
            .filter(|link| !link.contains("://") && !link.starts_with(['#', '<']) && !link.starts_with("mailto:"));
        broken.extend(
            local
                .filter(|link| !folder.join(link.split('#').next().unwrap_or(link)).exists())
                .map(|link| format!("{page}: {link}")),
        );
    }
    assert!(broken.is_empty(), "these links lead nowhere: {broken:#?}");
}

#[test]
fn the_changelog_has_a_place_for_what_is_not_released() {
    assert!(read("CHANGELOG.md").contains("\n## [Unreleased]\n"), "CHANGELOG.md has no `## [Unreleased]` section");
}

#[test]
fn the_checks_themselves_see() {
    assert_eq!(
        code("a();\n// tokio::x\n/// tokio::y\nb(); // tokio::z\n#[cfg(test)]\nmod tests { tokio::t() }\n"),
        ["a();", "", "", "b(); ", ""]
    );
    assert_eq!(links("see [a](b.md), [c](d.md#e)\n```\n[x](y)\n```\n`[in](code)`"), ["b.md", "d.md#e"]);
    let manifest = "[dependencies]\na = \"1\" # why\n\n# Both for one reason.\nb = \"1\"\nc = \"1\"\n\nd = \"1\"\ne.workspace = true\n[lints]\nf = 1\n";
    assert_eq!(dependencies_without_reason(manifest), ["d"]);
    assert!(is_nameless("helpers") && !is_nameless("commons"));
}

/// A source file.
struct Source {
    path: String,
    text: String,
}

/// Fails with file and line of each of `words` in the code below `folders`, except in the files or folders `allowed`.
fn assert_absent(folders: &[&str], allowed: &[&str], words: &[&str], instead: &str) {
    let all = sources(folders);
    let tests = |path: &str| path.ends_with("/tests.rs") || path.contains("/tests/");
    let checked =
        all.iter().filter(|file| !tests(&file.path) && !allowed.iter().any(|start| file.path.starts_with(start)));
    let found: Vec<String> = checked.flat_map(|file| occurrences(file, words)).collect();
    assert!(found.is_empty(), "{instead}: {found:#?}");
}

fn occurrences(file: &Source, words: &[&str]) -> Vec<String> {
    let lines = code(&file.text);
    let found = lines.iter().enumerate().filter(|(_, line)| words.iter().any(|word| line.contains(word)));
    found.map(|(number, line)| format!("{}:{}: {}", file.path, number + 1, line.trim())).collect()
}

/// The lines of a file without comments, up to its tests.
fn code(text: &str) -> Vec<&str> {
    let before_tests = text.lines().take_while(|line| !line.starts_with("mod tests"));
    before_tests
        .map(|line| line.split("//").next().unwrap_or(line))
        .map(|line| if line.starts_with("#[cfg(test)]") { "" } else { line })
        .collect()
}

fn is_nameless(word: &str) -> bool {
    NAMELESS.contains(&word)
}

fn sources(folders: &[&str]) -> Vec<Source> {
    let mut paths = Vec::new();
    for folder in folders.iter().map(|folder| folder.trim_end_matches('/')).filter(|folder| Path::new(folder).exists())
    {
        walk(Path::new(folder), "rs", &mut paths);
    }
    paths.sort();
    paths.into_iter().map(|path| Source { text: read(&path), path }).collect()
}

fn pages() -> Vec<String> {
    let mut paths: Vec<String> = fs::read_dir(".")
        .expect("the top folder")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    paths.retain(|path| path.ends_with(".md"));
    for folder in ["docs", "packaging", "bench"] {
        walk(Path::new(folder), "md", &mut paths);
    }
    paths
}

fn walk(folder: &Path, extension: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())).flatten() {
        let path = entry.path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            walk(&path, extension, found);
        } else if path.extension().is_some_and(|one| one == extension) {
            found.push(path.to_string_lossy().into_owned());
        }
    }
}

/// The targets of a page's links, without those in code.
fn links(text: &str) -> Vec<&str> {
    let mut fenced = false;
    let mut targets = Vec::new();
    for line in text.lines() {
        fenced ^= line.trim_start().starts_with("```");
        let prose = line.split('`').step_by(2).filter(|_| !fenced);
        targets.extend(prose.flat_map(|part| part.split("](").skip(1)).filter_map(|rest| rest.split(')').next()));
    }
    targets
}

/// Own lines of a dependency table that have no `#` beside them and none above in their paragraph. `x.workspace = true` and
/// paths have their reason where they are defined.
fn dependencies_without_reason(manifest: &str) -> Vec<&str> {
    let (mut inside, mut explained, mut silent) = (false, false, Vec::new());
    for line in manifest.lines().map(str::trim) {
        match line {
            _ if line.starts_with('[') => {
                (inside, explained) = (line.trim_end_matches(']').ends_with("dependencies"), false)
            }
            "" => explained = false,
            _ if line.starts_with('#') => explained = true,
            _ if inside
                && !explained
                && !line.contains('#')
                && !line.contains("workspace = true")
                && !line.contains("path = ") =>
            {
                silent.push(line.split([' ', '.', '=']).next().unwrap_or(line));
            }
            _ => {}
        }
    }
    silent
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}
