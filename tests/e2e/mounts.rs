//! Logs behind bind mounts, in overlays, and on file systems of which nobody is told what changes there.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::host::{Host, wait_until};
use crate::namespace::{self, mount, skipped, umount};
use crate::rotation::{append, assert_lines, assert_no_gap, rows};
use crate::watch::poll_fast;

#[test]
fn a_file_under_two_paths_through_a_bind_mount_is_read_once() {
    const TEST: &str = "mounts::a_file_under_two_paths_through_a_bind_mount_is_read_once";
    if !namespace::with_mounts(TEST) {
        return;
    }
    let host = Host::empty();
    let (here, there) = (folder(&host.log().join("here")), folder(&host.log().join("there")));
    if !mount(TEST, &["--bind", text(&here), text(&there)]) {
        return;
    }
    host.configure(&host.source("pg", "*/*.csv", ""), &host.archive());
    fs::write(here.join("pg.csv"), rows("a.1", 1..=10)).unwrap();
    let mut agent = host.run();
    agent.wait_for_rows(10);
    append(&there.join("pg.csv")).write_all(rows("a.1", 11..=20).as_bytes()).unwrap();
    agent.wait_for_rows(20);
    fs::rename(there.join("pg.csv"), there.join("pg-1.csv")).unwrap();
    fs::write(there.join("pg.csv"), rows("b.2", 1..=10)).unwrap();
    append(&here.join("pg-1.csv")).write_all(rows("a.1", 21..=30).as_bytes()).unwrap();
    agent.wait_for_rows(40);
    // One of the ways there goes.
    umount(&there);
    append(&here.join("pg.csv")).write_all(rows("b.2", 11..=20).as_bytes()).unwrap();
    agent.wait_for_rows(50);
    let trail = agent.stop();
    assert_lines(&trail, "a.1", 1..=30);
    assert_lines(&trail, "b.2", 1..=20);
    assert_no_gap(&trail);
    assert_lines(&host.drain(), "a.1", 1..=30);
    host.assert_verifies();
}

#[test]
fn a_folder_that_is_covered_by_a_mount_is_read_below_and_above() {
    const TEST: &str = "mounts::a_folder_that_is_covered_by_a_mount_is_read_below_and_above";
    if !namespace::with_mounts(TEST) {
        return;
    }
    let host = Host::new();
    let path = host.log().join("pg.csv");
    fs::write(&path, rows("a.1", 1..=10)).unwrap();
    let mut below = append(&path);
    let mut agent = host.run();
    agent.wait_for_rows(10);
    if !mount(TEST, &["-t", "tmpfs", "tmpfs", text(&host.log())]) {
        return;
    }
    fs::write(&path, rows("b.2", 1..=10)).unwrap();
    below.write_all(rows("a.1", 11..=20).as_bytes()).unwrap();
    agent.wait_for_rows(30);
    umount(&host.log());
    below.write_all(rows("a.1", 21..=30).as_bytes()).unwrap();
    agent.wait_for_rows(40);
    let trail = agent.stop();
    assert_lines(&trail, "a.1", 1..=30);
    assert_lines(&trail, "b.2", 1..=10);
    assert_no_gap(&trail);
    host.assert_verifies();
}

/// Copying up gives a file of the lower layer another inode, and on another file system another device.
#[test]
fn a_log_of_an_overlays_lower_layer_is_read_once_when_it_is_copied_up_and_rotated() {
    const TEST: &str = "mounts::a_log_of_an_overlays_lower_layer_is_read_once_when_it_is_copied_up_and_rotated";
    if !namespace::with_mounts(TEST) {
        return;
    }
    for (running, layers_apart) in [(true, true), (true, false), (false, true), (false, false)] {
        let host = Host::new();
        let Some(overlay) = Overlay::mount(TEST, &host, layers_apart) else { return };
        let path = host.log().join("pg.csv");
        fs::write(overlay.lower.join("pg.csv"), rows("a.1", 1..=1000)).unwrap();
        overlay.show(TEST, &host);
        let mut agent = host.run();
        agent.wait_for_rows(1000);
        let mut agent = if running {
            Some(agent)
        } else {
            agent.kill9();
            None
        };
        // Copied up; then renamed, which leaves a whiteout.
        append(&path).write_all(rows("a.1", 1001..=1010).as_bytes()).unwrap();
        if let Some(agent) = &mut agent {
            agent.wait_for_rows(1010);
        }
        fs::rename(&path, host.log().join("pg-1.csv")).unwrap();
        append(&host.log().join("pg-1.csv")).write_all(rows("a.1", 1011..=1020).as_bytes()).unwrap();
        fs::write(&path, rows("b.2", 1..=10)).unwrap();
        let trail = match agent {
            Some(mut agent) => {
                agent.wait_for_rows(1030);
                agent.stop()
            }
            None => host.drain(),
        };
        assert_lines(&trail, "a.1", 1..=1020);
        assert_lines(&trail, "b.2", 1..=10);
        assert_no_gap(&trail);

        // Mounted anew it is another device.
        umount(&host.log());
        overlay.show(TEST, &host);
        append(&path).write_all(rows("b.2", 11..=20).as_bytes()).unwrap();
        let trail = host.drain();
        assert_lines(&trail, "a.1", 1..=1020);
        assert_lines(&trail, "b.2", 1..=20);
        assert_no_gap(&trail);
        host.assert_verifies();
        umount(&host.log());
    }
}

/// A file system in user space, behind which another side writes: nobody tells of that, as over NFS.
#[test]
fn rows_that_another_side_writes_to_a_file_system_that_tells_nothing_are_read_once() {
    const TEST: &str = "mounts::rows_that_another_side_writes_to_a_file_system_that_tells_nothing_are_read_once";
    if !namespace::with_mounts(TEST) {
        return;
    }
    let host = Host::new();
    let Some(_server) = Bindfs::mount(TEST, &host) else { return };
    poll_fast(&host);
    let there = host.dir().join("server");
    let path = there.join("pg.csv");
    fs::write(&path, rows("a.1", 1..=10)).unwrap();
    let mut agent = host.run();
    agent.wait_for_rows(10);
    append(&path).write_all(rows("a.1", 11..=5000).as_bytes()).unwrap();
    agent.wait_for_rows(5000);
    // Renamed and reopened, and renamed again and deleted while the agent has it open.
    append(&path).write_all(rows("a.1", 5001..=5010).as_bytes()).unwrap();
    fs::rename(&path, there.join("pg-1.csv")).unwrap();
    fs::write(&path, rows("b.2", 1..=10)).unwrap();
    agent.wait_for_rows(5020);
    fs::remove_file(there.join("pg-1.csv")).unwrap();
    append(&path).write_all(rows("b.2", 11..=20).as_bytes()).unwrap();
    agent.wait_for_rows(5030);
    // Copied and cut in place, when all of it is read.
    fs::copy(&path, there.join("pg-2.csv")).unwrap();
    let log = append(&path);
    log.set_len(0).unwrap();
    append(&path).write_all(rows("c.3", 1..=10).as_bytes()).unwrap();
    agent.wait_for_rows(5040);
    let folders = host.status().unwrap()["folders"].clone();
    assert_eq!((&folders["watched"], &folders["polled"]), (&0.into(), &1.into()), "{folders}");
    assert!(folders["problem"].is_null(), "nothing is wrong with that: {folders}");
    let trail = agent.stop();
    assert_lines(&trail, "a.1", 1..=5010);
    assert_lines(&trail, "b.2", 1..=20);
    assert_lines(&trail, "c.3", 1..=10);
    assert_no_gap(&trail);
    host.assert_verifies();
}

/// An overlay over `log`.
struct Overlay {
    lower: PathBuf,
    upper: PathBuf,
    work: PathBuf,
}

impl Overlay {
    /// Its layers, on one file system or on two.
    fn mount(test: &str, host: &Host, apart: bool) -> Option<Self> {
        let [lower, upper] = ["lower", "upper"].map(|name| folder(&host.dir().join(name)));
        let mounts = if apart { vec![&lower, &upper] } else { Vec::new() };
        if !mounts.into_iter().all(|layer| mount(test, &["-t", "tmpfs", "tmpfs", text(layer)])) {
            return None;
        }
        let (upper, work) = (folder(&upper.join("up")), folder(&upper.join("work")));
        let overlay = Overlay { lower, upper, work };
        // Whether that is allowed is asked before the test begins.
        let allowed = overlay.show(test, host);
        umount_if(allowed, &host.log());
        allowed.then_some(overlay)
    }

    fn show(&self, test: &str, host: &Host) -> bool {
        let layers =
            format!("lowerdir={},upperdir={},workdir={}", text(&self.lower), text(&self.upper), text(&self.work));
        mount(test, &["-t", "overlay", "overlay", "-o", &layers, text(&host.log())])
    }
}

fn umount_if(mounted: bool, path: &Path) {
    if mounted {
        umount(path);
    }
}

/// `bindfs` shows the folder `server` as `log`. Ended when dropped.
struct Bindfs(Child);

impl Bindfs {
    fn mount(test: &str, host: &Host) -> Option<Self> {
        let server = folder(&host.dir().join("server"));
        let mut command = Command::new("bindfs");
        // It remembers nothing, so that what the other side writes is seen when it is looked at.
        command.args(["-f", "-o", "attr_timeout=0,entry_timeout=0"]).arg(&server).arg(host.log());
        let mut child = match command.stdin(Stdio::null()).spawn() {
            Ok(child) => child,
            Err(error) => {
                skipped(test, &format!("bindfs: {error}"));
                return None;
            }
        };
        let is_mounted = || fs::read_to_string("/proc/self/mounts").unwrap().contains(text(&host.log()));
        let ended = wait_until("bindfs to mount", || match child.try_wait().unwrap() {
            Some(status) => Some(Some(status)),
            None => is_mounted().then_some(None),
        });
        if let Some(status) = ended {
            skipped(test, &format!("bindfs cannot mount here: {status}"));
            return None;
        }
        Some(Bindfs(child))
    }
}

impl Drop for Bindfs {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn folder(path: &Path) -> PathBuf {
    fs::create_dir(path).unwrap();
    path.to_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
