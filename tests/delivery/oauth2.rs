//! Access tokens: got once, kept, got again, and never shown; and headers that say something of the batch.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use sealtrail::config::plan::{DestinationKind, HttpPlan, OauthPlan};
use sealtrail::config::secret::Secret;
use sealtrail::config::template::Template;
use sealtrail::ship;
use sealtrail::sink::Step;

use crate::far::{Far, Run, http_plan, plan};
use crate::receivers::tokens::{CLIENT_ID, CLIENT_SECRET, Endpoint};
use crate::support::front::{Got, Receiver, Reply};
use crate::support::journal::Journal;

/// A collector that takes tokens of one endpoint.
struct Collector {
    endpoint: Endpoint,
    taken: std::sync::Mutex<Vec<(String, Vec<String>)>>,
}

impl Receiver for Collector {
    fn answer(&self, got: &Got) -> Reply {
        if !self.endpoint.knows(got.header("authorization")) {
            return Reply::new(401, "who are you");
        }
        if got.method != "POST" {
            return Reply::new(204, "");
        }
        let batch = got.header("x-batch").unwrap_or_default().to_owned();
        let lines = String::from_utf8(got.body.clone()).unwrap().lines().map(str::to_owned).collect();
        self.taken.lock().unwrap().push((batch, lines));
        Reply::new(202, "")
    }

    fn lines(&self) -> Vec<String> {
        self.taken.lock().unwrap().iter().flat_map(|(_, lines)| lines.clone()).collect()
    }
}

pub fn oauth2(url: String) -> OauthPlan {
    OauthPlan {
        token_url: url,
        client_id: CLIENT_ID.to_owned(),
        client_secret: Secret::new(CLIENT_SECRET.to_owned()),
        scope: Some("ingest".to_owned()),
        audience: None,
        basic: false,
        ca_file: None,
    }
}

async fn collector() -> (Far, Arc<Collector>, HttpPlan) {
    let collector = Arc::new(Collector { endpoint: Endpoint::start(), taken: Default::default() });
    let mut far =
        Far::receiver(Arc::clone(&collector) as _, |url| DestinationKind::Http(Box::new(http_plan(url)))).await;
    let url = format!("http://{}/in", far.front().address);
    let plan = HttpPlan { oauth2: Some(oauth2(collector.endpoint.url())), ..http_plan(&url) };
    (far, collector, plan)
}

fn kind(plan: &HttpPlan) -> DestinationKind {
    DestinationKind::Http(Box::new(plan.clone()))
}

#[tokio::test]
async fn one_token_serves_all_requests_of_its_life() {
    for basic in [false, true] {
        let (journal, (far, collector, mut http)) = (Journal::filled(), collector().await);
        http.oauth2.as_mut().unwrap().basic = basic;
        let run = Run::start(&journal, vec![kind(&http)]);
        run.until_delivered(&far, &journal).await;
        run.stop().await;
        assert!(collector.taken.lock().unwrap().len() > 3);
        let state = collector.endpoint.state.lock().unwrap();
        assert_eq!((state.granted, state.asked["scope"].as_str()), (1, "ingest"));
        assert_eq!(state.asked.contains_key("client_id"), !basic);
    }
}

#[tokio::test]
async fn a_token_that_is_no_longer_taken_is_got_again_without_an_alarm() {
    let (mut journal, (far, collector, http)) = (Journal::filled(), collector().await);
    let run = Run::start(&journal, vec![kind(&http)]);
    run.until_delivered(&far, &journal).await;
    collector.endpoint.revoke();
    journal.block(5);
    run.until_delivered(&far, &journal).await;
    assert!(!run.one().stopped.load(Relaxed));
    assert_eq!(run.one().retries.load(Relaxed), 1);
    assert_eq!(collector.endpoint.state.lock().unwrap().granted, 2);
    run.stop().await;
}

#[tokio::test]
async fn a_token_is_not_used_to_its_last_second() {
    let (mut journal, (far, collector, http)) = (Journal::filled(), collector().await);
    collector.endpoint.state.lock().unwrap().life_s = 1;
    let run = Run::start(&journal, vec![kind(&http)]);
    run.until_delivered(&far, &journal).await;
    tokio::time::sleep(std::time::Duration::from_millis(950)).await;
    let before = collector.endpoint.state.lock().unwrap().granted;
    journal.block(1);
    run.until_delivered(&far, &journal).await;
    assert_eq!(collector.endpoint.state.lock().unwrap().granted, before + 1);
    assert_eq!(run.one().retries.load(Relaxed), 0);
    run.stop().await;
}

#[tokio::test]
async fn a_client_that_is_not_known_is_an_alarm_that_never_shows_its_secret() {
    let (journal, (far, _, mut http)) = (Journal::filled(), collector().await);
    http.oauth2.as_mut().unwrap().client_secret = Secret::new("wr0ng-s3cret".to_owned());
    let run = Run::start(&journal, vec![kind(&http)]);
    run.until("stopped", |health| health.stopped.load(Relaxed)).await;
    let problem = run.one().problem.get().unwrap();
    assert!(problem.contains("no token: answered 401") && problem.contains("invalid_client"), "{problem}");
    assert!(!problem.contains("wr0ng") && !problem.contains("who knows"), "{problem}");
    run.stop().await;
    assert!(far.lines().await.is_empty());
    let found = ship::probe(&plan(&journal, vec![kind(&http)])).await;
    assert_eq!(found[0].result.as_ref().unwrap_err().step, Step::Authenticate);
}

#[tokio::test]
async fn an_endpoint_that_fails_for_a_while_is_asked_again() {
    let (journal, (far, collector, http)) = (Journal::filled(), collector().await);
    collector.endpoint.state.lock().unwrap().answers = vec![(503, ""), (429, "")];
    let run = Run::start(&journal, vec![kind(&http)]);
    run.until_delivered(&far, &journal).await;
    assert!(!run.one().stopped.load(Relaxed));
    assert_eq!(run.one().retries.load(Relaxed), 2);
    run.stop().await;
}

#[tokio::test]
async fn an_answer_without_a_token_is_an_alarm() {
    let (journal, (_far, collector, http)) = (Journal::filled(), collector().await);
    collector.endpoint.state.lock().unwrap().answers = vec![(200, "<html>sign in</html>"); 3];
    let run = Run::start(&journal, vec![kind(&http)]);
    run.until("stopped", |health| health.stopped.load(Relaxed)).await;
    assert!(run.one().problem.get().unwrap().contains("without a token"));
    run.stop().await;
}

#[tokio::test]
async fn headers_say_which_batch_it_is() {
    let (journal, (far, collector, mut http)) = (Journal::filled(), collector().await);
    let template = Template::read("{origin}:{first}-{last}/{count}").unwrap().unwrap();
    http.templates = [("x-batch".to_owned(), template)].into();
    let run = Run::start(&journal, vec![kind(&http)]);
    run.until_delivered(&far, &journal).await;
    run.stop().await;
    let mut next = 0;
    for (batch, lines) in collector.taken.lock().unwrap().iter() {
        let last = next + lines.len() - 1;
        assert_eq!(*batch, format!("acme/test/db-1:{next}-{last}/{}", lines.len()));
        next = last + 1;
    }
    assert!(ship::probe(&plan(&journal, vec![kind(&http)])).await[0].result.is_ok());
}
