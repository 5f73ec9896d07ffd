//! A test in namespaces of its own, where it may mount file systems and set limits: both are gone with its last process, and nobody else
//! sees them.
//!
//! The test runs itself again, within `unshare`. Where the system does not allow that, the test is skipped, and says so past the test
//! runner's capture: on stderr, and in `target/tmp/skipped`, which `make test` prints last.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use crate::host::text;

const INSIDE: &str = "SEALTRAIL_TEST_INSIDE";

/// Whether this is the inside. Outside, the test of this name runs inside to its end.
pub fn with_mounts(test: &str) -> bool {
    let mounts = &["--mount", "--propagation", "private"][..];
    if rustix::process::geteuid().is_root() { inside(test, mounts) } else { inside(test, &[mounts, USER].concat()) }
}

/// The same with a user namespace, whose limits nobody else has.
pub fn with_limits(test: &str) -> bool {
    inside(test, USER)
}

const USER: &[&str] = &["--user", "--map-root-user"];

fn inside(test: &str, flags: &[&str]) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let allowed = Command::new("unshare").args(flags).arg("true").output();
    if !allowed.as_ref().is_ok_and(|output| output.status.success()) {
        skipped(test, &format!("no namespace can be had here: {allowed:?}"));
        return false;
    }
    let mut command = Command::new("unshare");
    command.args(flags).arg(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(INSIDE, "1");
    let output = command.output().unwrap();
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{test}, inside: {}\n{said}", output.status);
    false
}

/// Says that a test did not do what its name says, and why.
pub fn skipped(test: &str, why: &str) {
    let line = format!("skipped: {test}: {why}\n");
    // The runner captures what macros print, and not this.
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("skipped");
    File::options().append(true).create(true).open(path).unwrap().write_all(line.as_bytes()).unwrap();
}

/// Mounts something within; false where that is not allowed.
pub fn mount(test: &str, arguments: &[&str]) -> bool {
    let output = Command::new("mount").args(arguments).output().unwrap();
    if !output.status.success() {
        skipped(test, &format!("mount {}: {}", arguments.join(" "), text(&output.stderr)));
    }
    output.status.success()
}

pub fn umount(path: &Path) {
    let output = Command::new("umount").args(["--lazy"]).arg(path).output().unwrap();
    assert!(output.status.success(), "umount: {}", text(&output.stderr));
}
