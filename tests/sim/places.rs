//! In which order the files of one log are read, in a schedule that the drawn ones almost never come to.

use std::sync::Arc;
use std::time::Duration;

use sealtrail::health::Health;
use sealtrail::host::Host;
use sealtrail::tail::Tail;
use sealtrail::tail::watch::Watch;

use crate::clock::SimClock;
use crate::disk::SimDisk;
use crate::server::{Server, gzip};
use crate::{agent, nth_call};

/// While an archive is unpacked nothing younger is read. Meanwhile `log.1` goes where no pattern leads, `log` becomes `log.1`, and a clock that was
/// turned back has dated it before the other: only the place that the first one had still says that its rows come first.
#[test]
fn a_file_that_lost_its_name_keeps_its_place_whatever_its_date_says() {
    let clock = Arc::new(SimClock::default());
    let disk = SimDisk::new(Arc::clone(&clock), 0);
    let mut plan = agent::plan(&Server::new(&disk, &clock, 0, 1), &[], &nth_call::TUNING);
    plan.sources[0].paths = vec!["/logs/log*".to_owned()];
    disk.mkdir("/elsewhere", 2);
    disk.put("/logs/log.2.gz", &gzip("the oldest\n".repeat(100).as_bytes()), 0o600);
    disk.put("/logs/log.1", b"older\n", 0o600);
    disk.put("/logs/log", b"younger\n", 0o600);
    disk.touch("/logs/log", clock.system_time() - Duration::from_secs(3600));
    let (older, younger) = (disk.ino_of("/logs/log.1"), disk.ino_of("/logs/log"));

    let health = Health::new(&plan, 0);
    let host = Host { disk: Arc::new(disk.clone()), clock };
    let mut tail = Tail::new(&host, &plan.sources, vec![], vec![], vec![], None, Watch::off());
    tail.archives.set_share(100);
    let order = |tail: &Tail| tail.followers.iter().map(|follower| follower.inode.ino).collect::<Vec<_>>();

    tail.look(0, &health.sources);
    assert_eq!(order(&tail), [older, younger], "by their names");
    assert!(tail.waits_for_older(0, 0), "the archive is not unpacked: the rest of the test shows nothing");

    disk.move_log("/logs/log.1", "/elsewhere/log.1");
    disk.move_log("/logs/log", "/logs/log.1");
    tail.look(1, &health.sources);
    assert_eq!(order(&tail), [older, younger], "the second has the first one's name now");
}
