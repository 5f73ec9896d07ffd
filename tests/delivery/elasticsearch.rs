//! What the destinations of Elasticsearch and OpenSearch promise beyond the suite.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use sealtrail::config::plan::{
    Compression, DestinationKind, ElasticsearchPlan, S3Credentials, SearchLogin, SearchProduct, TlsPlan,
};
use sealtrail::config::secret::Secret;
use sealtrail::ship;
use sealtrail::sink::{ProbeError, Probed, Step};

use crate::far::{Far, MakeKind, Run, TIMEOUT, plan};
use crate::receivers::elasticsearch::{ACCESS_KEY, Cluster, Door, INDEX, SECRET_KEY};
use crate::support::front::Receiver;
use crate::support::journal::{Journal, line};

fn search_plan(url: &str, login: SearchLogin) -> ElasticsearchPlan {
    ElasticsearchPlan {
        product: SearchProduct::Elasticsearch,
        url: url.to_owned(),
        index: INDEX.to_owned(),
        login,
        tls: TlsPlan::default(),
        compression: Compression::Gzip,
        batch_max_bytes: 400,
        timeout: TIMEOUT,
    }
}

fn kind(plan: ElasticsearchPlan) -> DestinationKind {
    DestinationKind::Elasticsearch(Box::new(plan))
}

/// `elastic:s3cret`.
pub const BASIC: Door = Door::Header("Basic ZWxhc3RpYzpzM2NyZXQ=");

fn password(password: &str) -> SearchLogin {
    SearchLogin::Password { username: "elastic".to_owned(), password: Secret::new(password.to_owned()) }
}

pub fn by_password(url: &str) -> DestinationKind {
    kind(search_plan(url, password("s3cret")))
}

fn open(url: &str) -> DestinationKind {
    kind(search_plan(url, SearchLogin::Nobody))
}

/// All of a block in one request.
fn large_batches(url: &str) -> DestinationKind {
    kind(ElasticsearchPlan { batch_max_bytes: 1 << 20, ..search_plan(url, SearchLogin::Nobody) })
}

fn signed_with(secret: &str, service: &'static str, url: &str) -> DestinationKind {
    let credentials =
        S3Credentials { access_key_id: ACCESS_KEY.to_owned(), secret_access_key: Secret::new(secret.to_owned()) };
    let login = SearchLogin::Aws { region: "eu-central-1".to_owned(), service, credentials: Some(credentials) };
    kind(ElasticsearchPlan {
        product: SearchProduct::OpenSearch,
        // The body's hash can be checked then.
        compression: Compression::None,
        ..search_plan(url, login)
    })
}

pub fn signed(url: &str) -> DestinationKind {
    signed_with(SECRET_KEY, "es", url)
}

async fn far(cluster: Cluster, make: MakeKind) -> (Far, Arc<Cluster>) {
    let cluster = Arc::new(cluster);
    (Far::receiver(Arc::clone(&cluster) as Arc<dyn Receiver>, make).await, cluster)
}

async fn probe(journal: &Journal, kind: DestinationKind) -> Result<Probed, ProbeError> {
    ship::probe(&plan(journal, vec![kind])).await.into_iter().next().unwrap().result
}

#[tokio::test]
async fn what_is_too_much_for_now_is_sent_again_without_the_others() {
    let (journal, (far, cluster)) = (Journal::filled(), far(Cluster::elasticsearch(Door::Open), large_batches).await);
    cluster.state.lock().unwrap().busy = ["f/1\"", "f/3\"", "f/20\""].map(str::to_owned).to_vec();
    let run = Run::start(&journal, vec![far.kind()]);
    run.until("delivered", |health| health.next_line.load(Relaxed) == 27).await;
    far.assert_complete(&journal).await;
    assert_eq!((run.one().retries.load(Relaxed), run.one().lines_delivered.load(Relaxed)), (2, 27));
    assert_eq!(cluster.state.lock().unwrap().bulks, 5 + 2, "one a block, and one for what was left of two");
    run.stop().await;
}

#[tokio::test]
async fn what_the_mapping_does_not_take_is_a_dead_letter_with_the_reason() {
    let (mut journal, (far, cluster)) =
        (Journal::filled(), far(Cluster::elasticsearch(Door::Open), large_batches).await);
    cluster.state.lock().unwrap().poison = Some("\"id\":\"f/8\"".to_owned());
    let run = Run::start(&journal, vec![far.kind()]);
    run.until("delivered", |health| health.next_line.load(Relaxed) == 27).await;
    assert_eq!((run.one().dead_letters.load(Relaxed), run.one().lines_delivered.load(Relaxed)), (1, 26));
    run.stop().await;
    let folder = journal.state.path().join("dead-letter/d0");
    let kept = std::fs::read_to_string(folder.join("00000000000000000008.ndjson")).unwrap();
    assert_eq!(kept, line(8) + "\n");
    let answer = std::fs::read_to_string(folder.join("00000000000000000008.answer.txt")).unwrap();
    assert!(answer.starts_with("400") && answer.contains("document_parsing_exception"), "{answer}");
    journal.lines.remove(8);
    far.assert_complete(&journal).await;
}

#[tokio::test]
async fn an_index_that_takes_no_document_stops_and_buries_nothing() {
    let (mut journal, (far, cluster)) = (Journal::new(), far(Cluster::elasticsearch(Door::Open), large_batches).await);
    journal.block(9);
    cluster.state.lock().unwrap().poison = Some("\"id\"".to_owned());
    let run = Run::start(&journal, vec![far.kind()]);
    run.until("stopped", |health| health.stopped.load(Relaxed)).await;
    let problem = run.one().problem.get().unwrap();
    assert!(problem.contains("none of 9 documents") && problem.contains("template"), "{problem}");
    assert_eq!((run.one().dead_letters.load(Relaxed), run.one().next_line.load(Relaxed)), (0, 0));
    // The mapping is mended.
    cluster.state.lock().unwrap().poison = None;
    run.until_delivered(&far, &journal).await;
    run.stop().await;
}

#[tokio::test]
async fn a_right_or_an_index_that_is_missing_stops() {
    let (journal, (far, cluster)) = (Journal::filled(), far(Cluster::elasticsearch(Door::Open), open).await);
    cluster.state.lock().unwrap().may_not_write = true;
    let run = Run::start(&journal, vec![far.kind()]);
    run.until("stopped", |health| health.stopped.load(Relaxed)).await;
    let problem = run.one().problem.get().unwrap();
    assert!(problem.contains("403 security_exception") && problem.contains("create_doc"), "{problem}");
    {
        let mut state = cluster.state.lock().unwrap();
        (state.may_not_write, state.no_index) = (false, true);
    }
    run.until("stopped", |health| health.problem.get().is_some_and(|why| why.contains("404 index_not_found"))).await;
    cluster.state.lock().unwrap().no_index = false;
    run.until_delivered(&far, &journal).await;
    assert_eq!(run.one().dead_letters.load(Relaxed), 0);
    run.stop().await;
}

#[tokio::test]
async fn a_request_too_large_is_split() {
    let (journal, (far, cluster)) = (Journal::filled(), far(Cluster::elasticsearch(Door::Open), large_batches).await);
    cluster.state.lock().unwrap().documents_max = Some(2);
    let run = Run::start(&journal, vec![far.kind()]);
    run.until_delivered(&far, &journal).await;
    assert_eq!(far.lines().await, journal.lines);
    run.stop().await;
}

#[tokio::test]
async fn two_trails_whose_files_begin_alike_have_two_documents() {
    let (journal, (mut far, cluster)) = (Journal::filled(), far(Cluster::elasticsearch(Door::Open), open).await);
    let url = format!("http://{}", far.front().address);
    for origin in ["acme/test/db-1", "acme/test/db-2"] {
        let mut plan = plan(&journal, vec![open(&url)]);
        plan.agent.origin = origin.to_owned();
        let run = Run::of(&journal, &plan);
        run.until("delivered", |health| health.next_line.load(Relaxed) == 27).await;
        run.stop().await;
        let _ = std::fs::remove_file(journal.cursor("d0"));
    }
    let state = cluster.state.lock().unwrap();
    assert_eq!(state.documents.len(), 2 * 27);
    assert_eq!(
        state.documents["acme/test/db-2/f/3"]["sealtrail"],
        serde_json::json!({ "origin": "acme/test/db-2", "line": 3 })
    );
}

#[tokio::test]
async fn a_line_that_the_trail_has_twice_with_other_words_is_kept_twice() {
    let (mut journal, (far, cluster)) = (Journal::new(), far(Cluster::elasticsearch(Door::Open), open).await);
    let agent = |said: &str| {
        format!(r#"{{"v":1,"type":"agent","id":"acme/test/db-1/0","time":"2026-11-06T08:00:00Z","message":"{said}"}}"#)
    };
    journal.block_of(vec![agent("one continuation"), agent("another")]);
    let run = Run::start(&journal, vec![far.kind()]);
    run.until_delivered(&far, &journal).await;
    run.stop().await;
    assert_eq!(cluster.state.lock().unwrap().documents.len(), 2);
}

#[tokio::test]
async fn every_way_to_log_in_is_known_and_a_wrong_one_is_an_alarm_without_the_secret() {
    let api_key = |key: &str| SearchLogin::ApiKey(Secret::new(key.to_owned()));
    let ways: [(Door, SearchLogin, SearchLogin); 2] = [
        (BASIC, password("s3cret"), password("wr0ng")),
        (Door::Header("ApiKey cmlnaHQ="), api_key("cmlnaHQ="), api_key("wr0ng")),
    ];
    for (door, right, wrong) in ways {
        let (journal, (mut far, _)) = (Journal::filled(), far(Cluster::elasticsearch(door), open).await);
        let url = format!("http://{}", far.front().address);
        let run = Run::start(&journal, vec![kind(search_plan(&url, wrong.clone()))]);
        run.until("stopped", |health| health.stopped.load(Relaxed)).await;
        let problem = run.one().problem.get().unwrap();
        assert!(problem.contains("401") && !problem.contains("wr0ng"), "{problem}");
        run.stop().await;
        assert_eq!(probe(&journal, kind(search_plan(&url, wrong))).await.unwrap_err().step, Step::Authenticate);
        let run = Run::start(&journal, vec![kind(search_plan(&url, right.clone()))]);
        run.until_delivered(&far, &journal).await;
        run.stop().await;
        assert!(probe(&journal, kind(search_plan(&url, right))).await.is_ok());
    }
}

#[tokio::test]
async fn requests_are_signed_for_their_service_and_a_wrong_key_is_an_alarm() {
    let (journal, (mut far, _)) =
        (Journal::filled(), far(Cluster::opensearch(Door::Signed("eu-central-1", "aoss")), signed).await);
    let url = format!("http://{}", far.front().address);
    for wrong in [signed_with("wr0ng", "aoss", &url), signed_with(SECRET_KEY, "es", &url)] {
        let run = Run::start(&journal, vec![wrong.clone()]);
        run.until("stopped", |health| health.stopped.load(Relaxed)).await;
        let problem = run.one().problem.get().unwrap();
        assert!(problem.contains("403") && !problem.contains("wr0ng"), "{problem}");
        run.stop().await;
        assert_eq!(probe(&journal, wrong).await.unwrap_err().step, Step::Authenticate);
    }
    let right = signed_with(SECRET_KEY, "aoss", &url);
    assert!(probe(&journal, right.clone()).await.is_ok());
    let run = Run::start(&journal, vec![right]);
    run.until_delivered(&far, &journal).await;
    run.stop().await;
}

#[tokio::test]
async fn a_probe_asks_for_the_right_to_write_where_it_can_be_asked_for_and_says_where_not() {
    let (journal, (mut far, cluster)) = (Journal::filled(), far(Cluster::elasticsearch(Door::Open), open).await);
    let url = format!("http://{}", far.front().address);
    assert!(probe(&journal, open(&url)).await.unwrap().checked.ends_with("may write"));
    cluster.state.lock().unwrap().may_not_ask = true;
    assert!(probe(&journal, open(&url)).await.unwrap().checked.ends_with("may write"), "who it is need not be told");
    cluster.state.lock().unwrap().may_not_write = true;
    assert_eq!(probe(&journal, open(&url)).await.unwrap_err().step, Step::Write);
    assert!(cluster.lines().is_empty());

    let (mut far, cluster) = far_of_opensearch().await;
    let as_the_other = kind(search_plan(&format!("http://{}", far.front().address), password("s3cret")));
    let found = probe(&journal, as_the_other).await.unwrap().checked;
    assert!(found.contains("cannot be asked for"), "it is known for what it is: {found}");
    let found = probe(&journal, far.kind()).await.unwrap().checked;
    assert!(found.contains("not there yet") && found.contains("cannot be asked for"), "{found}");
    let run = Run::start(&journal, vec![far.kind()]);
    run.until_delivered(&far, &journal).await;
    run.stop().await;
    assert!(probe(&journal, far.kind()).await.unwrap().checked.contains("the index is there"));
    cluster.state.lock().unwrap().may_not_ask = true;
    assert!(probe(&journal, far.kind()).await.unwrap().checked.contains("may not be asked"));
}

async fn far_of_opensearch() -> (Far, Arc<Cluster>) {
    far(Cluster::opensearch(BASIC), |url| {
        kind(ElasticsearchPlan { product: SearchProduct::OpenSearch, ..search_plan(url, password("s3cret")) })
    })
    .await
}

#[tokio::test]
async fn a_probe_names_the_step_and_takes_no_page_for_a_cluster() {
    struct Page;
    impl Receiver for Page {
        fn answer(&self, _: &crate::support::front::Got) -> crate::support::front::Reply {
            crate::support::front::Reply::new(200, "<html>welcome</html>")
        }
        fn lines(&self) -> Vec<String> {
            Vec::new()
        }
    }
    let (journal, mut far) = (Journal::filled(), Far::receiver(Arc::new(Page), open).await);
    assert_eq!(probe(&journal, far.kind()).await.unwrap_err().step, Step::Answer);
    let run = Run::start(&journal, vec![far.kind()]);
    run.until("stopped", |health| health.stopped.load(Relaxed)).await;
    assert!(run.one().problem.get().unwrap().contains("not as _bulk does"));
    run.stop().await;
    far.front().down().await;
    assert_eq!(probe(&journal, far.kind()).await.unwrap_err().step, Step::Connect);
    assert_eq!(probe(&journal, open("http://nowhere.invalid:9200")).await.unwrap_err().step, Step::Resolve);
}
