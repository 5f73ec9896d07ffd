//! What the archives promise beyond the suite: S3, and the folder.

use std::sync::atomic::Ordering::Relaxed;

use sealtrail::config::plan::{DestinationKind, FilePlan, S3Plan};
use sealtrail::config::secret::Secret;
use sealtrail::ship;
use sealtrail::sink::Step;

use crate::far::{Far, Run, plan, s3_plan};
use crate::support::certs::Certs;
use crate::support::front::{Behind, Fault, Front};
use crate::support::journal::Journal;
use crate::support::s3::Server;

const FOLDER: &str = "evidence/trail=acme%2Ftest%2Fdb-1";

fn kind(plan: S3Plan) -> DestinationKind {
    DestinationKind::S3(Box::new(plan))
}

fn bucket(far: &Far) -> &str {
    match far {
        Far::S3 { bucket, .. } => bucket,
        _ => panic!("no bucket"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_tell_trail_date_and_lines_and_the_public_key_lies_beside() {
    for server in [Server::S3s, Server::Moto] {
        let (journal, far) = (Journal::filled(), Far::s3(server).await);
        let run = Run::start(&journal, vec![far.kind()]);
        run.until_delivered(&far, &journal).await;
        run.stop().await;
        let objects = server.objects(bucket(&far)).await;
        assert_eq!(
            objects.keys().collect::<Vec<_>>(),
            [
                &format!("{FOLDER}/acme_test_db-1.pub"),
                &format!("{FOLDER}/date=2026-11-06/00000000000000000000-00000000000000000011.ndjson.zst"),
                &format!("{FOLDER}/date=2026-11-06/00000000000000000012-00000000000000000023.ndjson.zst"),
            ]
        );
        assert_eq!(objects[&format!("{FOLDER}/acme_test_db-1.pub")], b"acme+0+AAAA\n");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_content_under_the_key_is_an_alarm_and_is_not_touched() {
    for server in [Server::S3s, Server::Moto] {
        let (journal, far) = (Journal::filled(), Far::s3(server).await);
        let key = format!("{FOLDER}/date=2026-11-06/00000000000000000000-00000000000000000011.ndjson.zst");
        server.put(bucket(&far), &key, b"somebody else's").await;
        let run = Run::start(&journal, vec![far.kind()]);
        run.until("stopped", |health| health.stopped.load(Relaxed)).await;
        let problem = run.one().problem.get().unwrap();
        assert!(problem.contains("other content"), "{problem}");
        assert_eq!(run.one().next_line.load(Relaxed), 0);
        run.stop().await;
        assert_eq!(server.objects(bucket(&far)).await[&key], b"somebody else's");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_segment_too_large_is_an_alarm_and_never_a_dead_letter() {
    let (journal, mut far) = (Journal::filled(), Far::s3(Server::S3s).await);
    far.fail(&[Fault::Status(413); 3]);
    let run = Run::start(&journal, vec![far.kind()]);
    run.until("stopped", |health| health.stopped.load(Relaxed)).await;
    assert!(run.one().problem.get().unwrap().contains("segment_max_bytes"));
    run.until_delivered(&far, &journal).await;
    assert_eq!(run.one().dead_letters.load(Relaxed), 0);
    run.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_credentials_are_an_alarm_and_a_probe_says_so() {
    let (journal, far) = (Journal::filled(), Far::s3(Server::S3s).await);
    let DestinationKind::S3(mut s3) = far.kind() else { panic!("not S3") };
    if let Some(credentials) = &mut s3.credentials {
        credentials.secret_access_key = Secret::new("wr0ng".to_owned());
    }
    let run = Run::start(&journal, vec![DestinationKind::S3(s3.clone())]);
    run.until("stopped", |health| health.stopped.load(Relaxed)).await;
    let problem = run.one().problem.get().unwrap();
    assert!(problem.contains("403") && !problem.contains("wr0ng"), "{problem}");
    run.stop().await;
    let found = ship::probe(&plan(&journal, vec![DestinationKind::S3(s3)])).await;
    assert_eq!(found[0].result.as_ref().unwrap_err().step, Step::Authenticate);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_is_not_there_is_an_alarm() {
    // Moto only: s3s-fs makes the folder of a bucket that it does not know.
    let (journal, mut far) = (Journal::filled(), Far::s3(Server::Moto).await);
    let s3 = s3_plan(&format!("http://{}", far.front().address), "no-such-bucket");
    let run = Run::start(&journal, vec![kind(s3)]);
    run.until("stopped", |health| health.stopped.load(Relaxed)).await;
    assert!(run.one().problem.get().unwrap().contains("NoSuchBucket"));
    run.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn own_authority_is_trusted_and_no_other() {
    let (journal, certs) = (Journal::filled(), Certs::new());
    let acceptor = certs.acceptor(false);
    let mut far = Far::s3_at(Server::S3s, |address| Front::start(Behind::Server(address), Some(acceptor))).await;
    let endpoint = format!("https://localhost:{}", far.front().address.port());
    let mut s3 = s3_plan(&endpoint, bucket(&far));
    let other = Certs::new();
    s3.tls.ca_file = Some(other.path("ca.pem"));
    let run = Run::start(&journal, vec![kind(s3.clone())]);
    run.until("stopped", |health| health.stopped.load(Relaxed)).await;
    assert!(run.one().problem.get().unwrap().contains("ca_file"));
    run.stop().await;
    let found = ship::probe(&plan(&journal, vec![kind(s3.clone())])).await;
    assert_eq!(found[0].result.as_ref().unwrap_err().step, Step::Tls);
    s3.tls.ca_file = Some(certs.path("ca.pem"));
    let run = Run::start(&journal, vec![kind(s3)]);
    run.until_delivered(&far, &journal).await;
    run.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_tries_the_right_to_write_and_writes_nothing() {
    for server in [Server::S3s, Server::Moto] {
        let (journal, mut far) = (Journal::filled(), Far::s3(server).await);
        let found = ship::probe(&plan(&journal, vec![far.kind()])).await;
        assert!(found[0].result.is_ok(), "{found:?}");
        assert!(server.objects(bucket(&far)).await.is_empty());
        far.front().down().await;
        let found = ship::probe(&plan(&journal, vec![far.kind()])).await;
        assert_eq!(found[0].result.as_ref().unwrap_err().step, Step::Connect, "{found:?}");
    }
}

#[tokio::test]
async fn a_folder_has_the_segments_and_the_key_and_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let (journal, far) = (Journal::filled(), Far::file());
    let run = Run::start(&journal, vec![far.kind()]);
    run.until_delivered(&far, &journal).await;
    run.stop().await;
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(far.path()), 0o700);
    let mut names: Vec<String> =
        std::fs::read_dir(far.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["00000000000000000000.ndjson.zst", "00000000000000000012.ndjson.zst", "acme_test_db-1.pub"]);
    assert!(names.iter().all(|name| mode(far.path().join(name)) == 0o600));
}

#[tokio::test]
async fn other_content_in_the_folder_is_an_alarm_and_is_not_touched() {
    let (journal, far) = (Journal::filled(), Far::file());
    let path = far.path().join("00000000000000000012.ndjson.zst");
    std::fs::create_dir_all(far.path()).unwrap();
    std::fs::write(&path, "somebody else's").unwrap();
    let run = Run::start(&journal, vec![far.kind()]);
    run.until("stopped", |health| health.stopped.load(Relaxed)).await;
    assert_eq!(run.one().next_line.load(Relaxed), 12);
    assert_eq!(std::fs::read(&path).unwrap(), b"somebody else's");
    // Somebody looked into it and moved the file away.
    std::fs::remove_file(&path).unwrap();
    run.until_delivered(&far, &journal).await;
    run.stop().await;
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_an_alarm_until_it_can() {
    let (journal, far) = (Journal::filled(), Far::file());
    std::fs::write(far.path(), "a file in the way").unwrap();
    let run = Run::start(&journal, vec![far.kind()]);
    run.until("stopped", |health| health.stopped.load(Relaxed)).await;
    let found = ship::probe(&plan(&journal, vec![far.kind()])).await;
    assert_eq!(found[0].result.as_ref().unwrap_err().step, Step::Answer);
    std::fs::remove_file(far.path()).unwrap();
    run.until_delivered(&far, &journal).await;
    run.stop().await;
    assert!(ship::probe(&plan(&journal, vec![far.kind()])).await[0].result.is_ok());
}

/// A small disk needs the right to mount; without it the case says that it is left out.
#[tokio::test]
async fn a_full_disk_is_waited_for() {
    let journal = Journal::filled();
    let mounted = tempfile::tempdir().unwrap();
    let mut mount = std::process::Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=4k", "tmpfs"]).arg(mounted.path()).stderr(std::process::Stdio::null());
    if !mount.status().is_ok_and(|status| status.success()) {
        eprintln!("left out: mounting a small tmpfs is not allowed here");
        return;
    }
    let filler = mounted.path().join("filler");
    // A write that fails for want of room is the point.
    let _ = std::fs::write(&filler, vec![0; 4096]);
    let path = mounted.path().to_owned();
    let run = Run::start(&journal, vec![DestinationKind::File(FilePlan { path: path.clone() })]);
    run.until("waiting", |health| health.problem.get().is_some()).await;
    let stopped = run.one().stopped.load(Relaxed);
    run.stop().await;
    let unmounted = std::process::Command::new("umount").arg(&path).status().unwrap();
    assert!(unmounted.success() && !stopped);
}
