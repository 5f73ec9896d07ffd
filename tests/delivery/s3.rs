//! What the archives promise beyond the suite: S3, and the folder.

use std::sync::atomic::Ordering::Relaxed;

use aws_sdk_s3::types::{ObjectLockLegalHoldStatus, ObjectLockMode, ServerSideEncryption, StorageClass};
use sealtrail::config::plan::{DestinationKind, FilePlan, LockMode, ObjectFormat, ObjectLock, S3Encryption, S3Plan};
use sealtrail::config::secret::Secret;
use sealtrail::ship;
use sealtrail::sink::Step;

use crate::far::{Far, Run, plan, s3_plan};
use crate::support::certs::Certs;
use crate::support::front::{Behind, Fault, Front, Got, Receiver, Reply};
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

/// A bucket of moto's with Object Lock, and a plan for it that uses everything that can be put with an object.
async fn locked(far: &mut Far, mode: LockMode) -> S3Plan {
    static BUCKETS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let bucket = format!("locked-{}", BUCKETS.fetch_add(1, Relaxed));
    let make = Server::Moto.client().create_bucket().bucket(&bucket).object_lock_enabled_for_bucket(true);
    make.send().await.unwrap();
    let mut s3 = s3_plan(&format!("http://{}", far.front().address), &bucket);
    s3.lock = Some(ObjectLock { mode, days: 400 });
    s3.legal_hold = true;
    s3.storage_class = Some("STANDARD_IA".to_owned());
    s3.encryption = Some(S3Encryption::Kms(Some("alias/audit".to_owned())));
    s3.tags = [("class".to_owned(), "audit log".to_owned()), ("a+b".to_owned(), "c=d".to_owned())].into();
    s3
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_object_is_put_with_its_lock_hold_class_key_and_tags_the_public_key_too() {
    let (journal, mut far) = (Journal::filled(), Far::s3(Server::Moto).await);
    for (mode, stored) in
        [(LockMode::Liftable, ObjectLockMode::Governance), (LockMode::Binding, ObjectLockMode::Compliance)]
    {
        let s3 = locked(&mut far, mode).await;
        // The second time everything is there already.
        for _ in 0..2 {
            std::fs::remove_file(journal.cursor("d0")).ok();
            let run = Run::start(&journal, vec![kind(s3.clone())]);
            run.until("delivered", |health| health.next_line.load(Relaxed) >= 24).await;
            run.stop().await;
        }
        let client = Server::Moto.client();
        let names: Vec<String> = Server::Moto.objects(&s3.bucket).await.into_keys().collect();
        assert_eq!(names.len(), 3);
        for name in names {
            let head = client.head_object().bucket(&s3.bucket).key(&name).send().await.unwrap();
            assert_eq!(head.object_lock_mode(), Some(&stored), "{name}");
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
            let days = (head.object_lock_retain_until_date().unwrap().secs() - now + 60) / 86_400;
            assert_eq!(days, 400, "{name}");
            assert_eq!(head.object_lock_legal_hold_status(), Some(&ObjectLockLegalHoldStatus::On));
            assert_eq!(head.storage_class(), Some(&StorageClass::StandardIa));
            assert_eq!(head.server_side_encryption(), Some(&ServerSideEncryption::AwsKms));
            assert_eq!(head.ssekms_key_id(), Some("alias/audit"));
            let tags = client.get_object_tagging().bucket(&s3.bucket).key(&name).send().await.unwrap();
            let mut tags: Vec<(&str, &str)> = tags.tag_set().iter().map(|tag| (tag.key(), tag.value())).collect();
            tags.sort_unstable();
            assert_eq!(tags, [("a+b", "c=d"), ("class", "audit log")]);
            let version = head.version_id().unwrap();
            let delete = client.delete_object().bucket(&s3.bucket).key(&name).version_id(version).send().await;
            assert!(delete.is_err(), "{name} could be deleted");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_asks_whether_a_bucket_can_lock() {
    let (journal, mut far) = (Journal::filled(), Far::s3(Server::Moto).await);
    let s3 = locked(&mut far, LockMode::Binding).await;
    let found = ship::probe(&plan(&journal, vec![kind(s3.clone())])).await;
    assert!(found[0].result.is_ok(), "{found:?}");
    assert!(Server::Moto.objects(&s3.bucket).await.is_empty());
    let without = S3Plan { bucket: bucket(&far).to_owned(), ..s3 };
    let found = ship::probe(&plan(&journal, vec![kind(without)])).await;
    let error = found[0].result.as_ref().unwrap_err();
    assert!(error.why.contains("has no Object Lock") && error.step == Step::Answer, "{error:?}");
}

/// S3 as far as it says whose a bucket is and where.
struct Elsewhere;

impl Receiver for Elsewhere {
    fn answer(&self, got: &Got) -> Reply {
        match got.header("x-amz-expected-bucket-owner") {
            Some("123456789012") => {
                let region = ("x-amz-bucket-region", "eu-west-1".to_owned());
                let body = "<Error><Code>PermanentRedirect</Code><Message>x</Message></Error>";
                Reply { headers: vec![region], ..Reply::new(301, body) }
            }
            _ => Reply::new(403, "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"),
        }
    }

    fn lines(&self) -> Vec<String> {
        Vec::new()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_of_another_account_or_region_is_told_as_that() {
    let front = Front::start(Behind::Receiver(std::sync::Arc::new(Elsewhere)), None).await;
    for (owner, word) in [("123456789012", "eu-west-1"), ("210987654321", "expected_bucket_owner")] {
        let journal = Journal::filled();
        let mut s3 = s3_plan(&format!("http://{}", front.address), "acme-audit");
        s3.bucket_owner = Some(owner.to_owned());
        let run = Run::start(&journal, vec![kind(s3.clone())]);
        run.until("stopped", |health| health.stopped.load(Relaxed)).await;
        let problem = run.one().problem.get().unwrap();
        assert!(problem.contains(word), "{problem}");
        run.stop().await;
        let found = ship::probe(&plan(&journal, vec![kind(s3)])).await;
        assert!(found[0].result.as_ref().unwrap_err().hint.contains(word), "{found:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_lines_under_the_key_packed_otherwise_are_the_same_evidence() {
    use std::io::Write;
    for (lines, same) in [(0..12, true), (1..12, false)] {
        let (journal, far) = (Journal::filled(), Far::s3_gzip(Server::S3s).await);
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(1));
        for line in lines {
            writeln!(encoder, "{}", journal.lines[line]).unwrap();
        }
        let packed: &'static [u8] = encoder.finish().unwrap().leak();
        let key = format!("{FOLDER}/date=2026-11-06/00000000000000000000-00000000000000000011.ndjson.gz");
        Server::S3s.put(bucket(&far), &key, packed).await;
        let run = Run::start(&journal, vec![far.kind()]);
        if same {
            run.until_delivered(&far, &journal).await;
        } else {
            run.until("stopped", |health| health.stopped.load(Relaxed)).await;
            assert!(run.one().problem.get().unwrap().contains("other content"));
        }
        run.stop().await;
        assert_eq!(Server::S3s.objects(bucket(&far)).await[&key], packed, "not touched");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_gzip_sends_says_so_in_its_name_and_type() {
    let (journal, far) = (Journal::filled(), Far::s3_gzip(Server::Moto).await);
    assert!(matches!(&far, Far::S3 { format: ObjectFormat::Gzip, .. }));
    let run = Run::start(&journal, vec![far.kind()]);
    run.until_delivered(&far, &journal).await;
    run.stop().await;
    let key = format!("{FOLDER}/date=2026-11-06/00000000000000000000-00000000000000000011.ndjson.gz");
    let head = Server::Moto.client().head_object().bucket(bucket(&far)).key(&key).send().await.unwrap();
    assert_eq!((head.content_type(), head.content_encoding()), (Some("application/gzip"), None));
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
        // `cargo test` shows it when asked to.
        println!("left out: mounting a small tmpfs is not allowed here");
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
