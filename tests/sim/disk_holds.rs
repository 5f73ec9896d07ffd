//! What the simulated disk promises, so that what is shown on it counts for a real one.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;
use sealtrail::disk::{self, Disk};

use crate::clock::SimClock;
use crate::disk::{Fault, SimDisk};

fn disk(seed: u64) -> SimDisk {
    let disk = SimDisk::new(Arc::new(SimClock::default()), seed);
    disk.mkdir("/a", 1);
    disk
}

/// What is left of `/a/f` in a hundred power cuts after `change`.
fn left(change: impl Fn(&SimDisk)) -> BTreeSet<Option<Vec<u8>>> {
    let one = |seed| {
        let disk = disk(seed);
        change(&disk);
        disk.cut_power();
        disk.restart();
        disk.content("/a/f")
    };
    (0..100).map(one).collect()
}

fn write(disk: &SimDisk, bytes: &[u8]) {
    disk.open_append(Path::new("/a/f")).unwrap().append(bytes).unwrap();
}

fn sync(disk: &SimDisk) {
    disk.open_append(Path::new("/a/f")).unwrap().sync().unwrap();
    disk.sync_dir(Path::new("/a")).unwrap();
}

#[test]
fn what_is_synced_survives_a_power_cut_and_nothing_else_surely() {
    let synced = left(|disk| {
        write(disk, b"abc");
        sync(disk);
    });
    assert_eq!(synced, BTreeSet::from([Some(b"abc".to_vec())]));
    let half = left(|disk| {
        write(disk, b"abc");
        sync(disk);
        write(disk, b"defg");
    });
    assert!(half.iter().flatten().all(|bytes| bytes.starts_with(b"abc") && bytes.len() <= 7));
    for kind in [&b"abc"[..], b"abcd", b"abcdefg", b"abc\0\0\0\0"] {
        assert!(half.contains(&Some(kind.to_vec())), "{kind:?} is not among {half:?}");
    }
}

#[test]
fn a_name_is_lost_until_its_folder_is_synced_even_if_the_file_is() {
    let names = left(|disk| {
        write(disk, b"abc");
        disk.open_append(Path::new("/a/f")).unwrap().sync().unwrap();
    });
    assert_eq!(names, BTreeSet::from([None, Some(b"abc".to_vec())]));
}

#[test]
fn a_rename_happens_whole_or_not_at_all() {
    let renamed = left(|disk| {
        write(disk, b"old");
        sync(disk);
        let new = disk.create(Path::new("/a/t"), 0o600).unwrap();
        new.append(b"new").unwrap();
        new.sync().unwrap();
        disk.rename(Path::new("/a/t"), Path::new("/a/f")).unwrap();
    });
    assert_eq!(renamed, BTreeSet::from([Some(b"old".to_vec()), Some(b"new".to_vec())]));
}

#[test]
fn a_cut_that_was_not_synced_may_be_undone() {
    let cut = left(|disk| {
        write(disk, b"abcdef");
        sync(disk);
        disk.open_append(Path::new("/a/f")).unwrap().set_len(2).unwrap();
    });
    assert!(cut.contains(&Some(b"abcdef".to_vec())) && cut.contains(&Some(b"ab".to_vec())));
}

#[test]
fn after_a_crash_every_call_fails_until_the_next_life_and_old_handles_for_ever() {
    let disk = disk(0);
    write(&disk, b"abc");
    let file = disk.open(Path::new("/a/f")).unwrap();
    disk.crash();
    assert!(disk.status(Path::new("/a")).is_err() && file.append(b"d").is_err() && file.sync().is_err());
    disk.restart();
    assert!(file.append(b"d").is_err() && file.read_at(&mut [0; 3], 0).is_err());
    assert_eq!(disk::read(&disk, Path::new("/a/f")).unwrap(), b"abc");
}

#[test]
fn the_planned_call_goes_wrong_and_no_other() {
    let disk = disk(3);
    write(&disk, b"abc");
    disk.plan(disk.calls() + 1, Fault::Fails(Errno::IO));
    let file = disk.open_append(Path::new("/a/f")).unwrap();
    assert_eq!(file.sync().unwrap_err().raw_os_error(), Some(5));
    file.sync().unwrap();
    disk.plan(disk.calls() + 1, Fault::Crash);
    assert!(file.append(b"def").is_err());
    assert_eq!(disk.content("/a/f").unwrap(), b"abcdef");
    assert!(disk.dead().is_some());
}

#[test]
fn a_full_disk_takes_what_fits() {
    let disk = disk(0);
    disk.set_capacity(5);
    write(&disk, b"abc");
    let file = disk.open_append(Path::new("/a/f")).unwrap();
    assert_eq!(file.append(b"defg").unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(disk.content("/a/f").unwrap(), b"abcde");
    assert_eq!(disk.create(Path::new("/a/g"), 0o600).unwrap_err().kind(), io::ErrorKind::StorageFull);
    file.set_len(1).unwrap();
    write(&disk, b"xyz");
}

#[test]
fn a_removed_file_is_read_through_its_handle_and_its_number_is_given_out_again_only_after() {
    let disk = disk(0);
    disk.set_reuse(true);
    let node = disk.create_log("/a/log", 0o644);
    disk.write_log(node, b"abc");
    disk.close_log(node);
    let file = disk.open(Path::new("/a/log")).unwrap();
    let ino = file.status().unwrap().ino;
    disk.unlink("/a/log");
    assert_eq!((file.status().unwrap().links, file.read_at(&mut [0; 9], 0).unwrap()), (0, 3));
    let ino_of = |path: &str| disk.status(Path::new(path)).unwrap().ino;
    disk.close_log(disk.create_log("/a/one", 0o644));
    assert_ne!(ino_of("/a/one"), ino);
    drop(file);
    disk.close_log(disk.create_log("/a/two", 0o644));
    assert_eq!(ino_of("/a/two"), ino);
}

#[test]
fn links_lead_where_they_should_and_permissions_hold() {
    let disk = disk(0);
    let node = disk.create_log("/a/log", 0o640);
    disk.write_log(node, b"abc");
    disk.link("/a/log", "/a/hard");
    disk.symlink("/a/log", "/a/soft");
    let status = |path: &str| disk.status(Path::new(path)).unwrap();
    assert_eq!(
        (status("/a/hard").ino, status("/a/soft").ino, status("/a/log").links),
        (status("/a/log").ino, status("/a/log").ino, 2)
    );
    assert_eq!(disk.real_path(Path::new("/a/soft")).unwrap(), Path::new("/a/log"));
    disk.chmod("/a/log", 0o600);
    assert_eq!(disk.open(Path::new("/a/soft")).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    disk.symlink("/a/soft", "/a/log");
    assert_eq!(disk.status(Path::new("/a/soft")).unwrap_err().raw_os_error(), Some(Errno::LOOP.raw_os_error()));
}
