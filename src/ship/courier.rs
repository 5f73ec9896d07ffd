//! A courier: one task that carries the journal to one destination, and knows nothing of the others.
//!
//! Its loop: take the next batch from the feed, hand it over until the far side says yes, write the cursor, again. What a
//! destination cannot take now is tried again for ever; what it will not take until somebody acts is tried again slowly; a
//! single line that it will never take goes to the dead-letter folder. The cursor moves over a line in no other way.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use tokio::sync::watch;

use super::OpenSink;
use super::choose::{self, Chosen};
use super::cursor::{Cursor, Stand};
use super::dead_letter::DeadLetters;
use super::feed::{Feed, FeedError, Given, Moment, Next};
use super::letters::{Letters, Outcome};
use super::pace::{Backoff, Pace};
use super::teller::Teller;
use crate::clock::Clock;
use crate::config::plan::{AgentPlan, Choice, DestinationPlan};
use crate::health::{DestinationHealth, Health};
use crate::host::Host;
use crate::journal::Head;
use crate::journal::read::segments;
use crate::sink::{Accepted, Batch, Lines, Refusal, Refused, Segment, Sink, Takes};

/// Whether the courier goes on, or was told to stop.
type Going<T = ()> = ControlFlow<(), T>;

/// One destination's courier.
///
/// State: none that counts. The cursor is on disk; the feed is made from it; the sink keeps connections only.
pub(super) struct Courier {
    pub(super) host: Host,
    pub(super) open_sink: OpenSink,
    pub(super) plan: DestinationPlan,
    pub(super) agent: AgentPlan,
    pub(super) head: watch::Receiver<Head>,
    pub(super) desk: Desk,
}

/// What it takes to hand a batch over and to write down that it was.
pub(super) struct Desk {
    clock: Arc<dyn Clock>,
    name: String,
    choice: Choice,
    cursor: Cursor,
    letters: Letters,
    /// When dead letters were looked at last, by the boot clock.
    letters_ms: Option<u64>,
    /// Bytes a second at most.
    rate_limit: Option<u64>,
    /// When the next batch may go, by the boot clock.
    free_ms: u64,
    health: Arc<Health>,
    /// Which of the health's destinations this is.
    index: usize,
    stop: Stop,
    pace: Pace,
    /// What was said about the destination last, so that a change is said once.
    said: Said,
}

/// How the destination is, as far as it was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Well,
    Later,
    Stopped,
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Handed {
    Over,
    /// Somebody has to act: what was not taken is tried again with secrets and certificates as they are then.
    Refused,
}

/// What became of one request.
enum Settled {
    Refused,
    Accepted(Accepted),
    Split { why: String, answer: String },
    Partly { refused: Vec<Refused>, again: Vec<usize>, after: Option<Duration>, why: String },
}

/// What the far side said, where it was asked.
type Answer = Option<Result<Accepted, Refusal>>;

/// A batch, as far as the destination takes it.
enum Wanted<'a> {
    All(Lines<'a>),
    Some { chosen: Chosen, of: Lines<'a> },
}

impl<'a> Wanted<'a> {
    fn of(choice: &Choice, lines: Lines<'a>) -> Self {
        match choose::takes_all(choice) {
            true => Wanted::All(lines),
            false => Wanted::Some { chosen: choose::choose(choice, &lines), of: lines },
        }
    }

    fn lines(&self) -> Lines<'_> {
        match self {
            Wanted::All(lines) => *lines,
            Wanted::Some { chosen, of } => chosen.as_lines(of),
        }
    }
}

/// What became of lines.
enum Delivered {
    /// The far side has them, but for those that lie in the dead-letter folder.
    All,
    Refused,
    /// It does not take so many at once; a single one never.
    TooMuch {
        why: String,
        answer: String,
    },
}

/// The files of a destination's secrets and certificates, as they were when it was opened.
struct Files(Vec<(PathBuf, Option<(SystemTime, u64)>)>);

impl Files {
    fn now(paths: &[PathBuf]) -> Self {
        Files(paths.iter().map(|path| (path.clone(), stamp(path))).collect())
    }

    /// One that is gone for the moment is being replaced: it has changed once it is there again.
    fn have_changed(&self) -> bool {
        self.0.iter().any(|(path, before)| stamp(path).is_some_and(|now| Some(now) != *before))
    }
}

fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

impl Courier {
    /// Works until it is told to stop.
    pub(super) async fn run(mut self) {
        // Either way it ends because it was told to.
        let _ = self.work().await;
    }

    async fn work(&mut self) -> Going {
        loop {
            let files = Files::now(&self.plan.files);
            let sink = self.open_sink().await?;
            self.work_with(sink.as_ref(), &files).await?;
        }
    }

    /// Until the sink has to be opened anew: the destination refuses for good, or a file of secrets or certificates has changed.
    async fn work_with(&mut self, sink: &dyn Sink, files: &Files) -> Going {
        loop {
            let next_line = self.find_place().await?;
            let mut feed = Feed::new(
                Arc::clone(&self.host.disk),
                &self.journal(),
                &self.agent.origin,
                sink.takes(),
                &self.plan.choice,
                next_line,
            );
            let error = loop {
                if self.desk.see_to_letters(sink, &self.agent.origin).await? && files.have_changed() {
                    tracing::info!(destination = %self.plan.name, "a file of its secrets or certificates has changed: opening it anew");
                    return Going::Continue(());
                }
                let head = *self.head.borrow_and_update();
                match feed.next(head, self.desk.now()).await {
                    Ok(Next::Given(batch)) => match self.desk.hand_over(sink, batch).await? {
                        Handed::Over => {}
                        Handed::Refused => return Going::Continue(()),
                    },
                    Ok(Next::Wait(wait)) => self.wait_for_more(Some(wait)).await?,
                    Ok(Next::Nothing) => self.wait_for_more(None).await?,
                    Err(error) => break error,
                }
            };
            self.desk.stopped(&said_with_causes(&error), error.hint());
            self.desk.rest_stopped().await?;
        }
    }

    /// Certificates that cannot be read today may be readable tomorrow.
    async fn open_sink(&mut self) -> Going<Box<dyn Sink>> {
        loop {
            match (self.open_sink)(&self.plan, &self.agent) {
                Ok(sink) => return Going::Continue(sink),
                Err(Refusal::Stop { why, hint }) => self.desk.stopped(&why, &hint),
                Err(Refusal::Later { why, .. } | Refusal::Split { why, .. } | Refusal::Partly { why, .. }) => {
                    self.desk.later(&why)
                }
            }
            self.desk.rest_stopped().await?;
        }
    }

    /// Where to begin: at the cursor, or, without one, at the oldest line there is.
    async fn find_place(&mut self) -> Going<u64> {
        loop {
            match self.place() {
                Ok(Some(next_line)) => {
                    self.desk.health().next_line.store(next_line, Relaxed);
                    self.desk.moved();
                    return Going::Continue(next_line);
                }
                Ok(None) => self.wait_for_more(None).await?,
                Err(error) => {
                    self.desk.stopped(&error, "let the agent's user read and write its own state folder");
                    self.desk.rest_stopped().await?;
                }
            }
        }
    }

    /// `None` while there is no trail yet.
    fn place(&self) -> Result<Option<u64>, String> {
        let head = *self.head.borrow();
        let path = self.desk.cursor.path().display();
        let stand = self.desk.cursor.load().map_err(|error| format!("cannot read the cursor {path}: {error}"))?;
        if head.lines == 0 {
            return Ok(None);
        }
        let oldest = || match segments(self.host.disk.as_ref(), &self.journal()) {
            // A trail whose journal was lost goes on behind line 0, with no file as yet.
            Ok(files) => Ok(files.first().map_or(head.segment, |file| file.first)),
            Err(error) => Err(format!("cannot read the journal {}: {error}", self.journal().display())),
        };
        match stand {
            Stand::At(next_line) => Ok(Some(next_line)),
            Stand::New => {
                let oldest = oldest()?;
                tracing::info!(destination = %self.plan.name, line = oldest, "destination is new: beginning at the oldest line");
                Ok(Some(oldest))
            }
            Stand::Damaged => {
                let oldest = oldest()?;
                tracing::warn!(
                    destination = %self.plan.name, line = oldest,
                    "cursor {path} is damaged: delivering again all that the journal has, which is harmless"
                );
                Ok(Some(oldest))
            }
        }
    }

    /// `at_most`: a batch has some lines, and goes then, whether more came or not.
    async fn wait_for_more(&mut self, at_most: Option<Duration>) -> Going {
        let look = self.desk.pace.letters.min(at_most.unwrap_or(Duration::MAX));
        tokio::select! {
            biased;
            () = self.desk.stop.told() => Going::Break(()),
            () = tokio::time::sleep(look) => Going::Continue(()),
            changed = self.head.changed() => match (changed, at_most) {
                (Ok(()), _) => Going::Continue(()),
                // The journal is closed: no more will come.
                (Err(_), Some(wait)) => self.desk.rest(wait).await,
                // And what there was is handed over.
                (Err(_), None) => { self.desk.stop.told().await; Going::Break(()) }
            },
        }
    }

    fn journal(&self) -> PathBuf {
        self.agent.state_dir.join("journal")
    }
}

impl Desk {
    #[expect(
        clippy::too_many_arguments,
        reason = "each is another's: the host's, the plan's, the core's, the caller's"
    )]
    pub(super) fn new(
        host: &Host,
        agent: &AgentPlan,
        index: usize,
        destination: &DestinationPlan,
        health: Arc<Health>,
        teller: Option<Teller>,
        stop: Stop,
        pace: Pace,
    ) -> Self {
        let name = destination.name.as_str();
        Desk {
            clock: Arc::clone(&host.clock),
            name: name.to_owned(),
            choice: destination.choice.clone(),
            cursor: Cursor::new(Arc::clone(&host.disk), &agent.state_dir, name),
            letters: Letters::new(name, DeadLetters::new(Arc::clone(&host.disk), &agent.state_dir, name), teller),
            letters_ms: None,
            rate_limit: destination.rate_limit,
            free_ms: 0,
            health,
            index,
            stop,
            pace,
            said: Said::Well,
        }
    }

    /// Hands over what the feed gave. A part that is accepted is written down at once.
    async fn hand_over(&mut self, sink: &dyn Sink, given: Given<'_>) -> Going<Handed> {
        match given {
            Given::Segment(segment) => self.hand_over_segment(sink, segment).await,
            Given::Lines(batches) => match batches[..] {
                [lines] => self.hand_over_lines(sink, lines, None).await,
                _ => self.hand_over_at_once(sink, &batches).await,
            },
        }
    }

    /// Several batches under way at a time; what became of them is seen to in their order, so that the cursor never passes one that is not taken.
    async fn hand_over_at_once(&mut self, sink: &dyn Sink, batches: &[Lines<'_>]) -> Going<Handed> {
        self.hold_back(batches.iter().map(|lines| lines.ndjson.len() as u64).sum()).await?;
        let wanted: Vec<Wanted<'_>> = batches.iter().map(|lines| Wanted::of(&self.choice, *lines)).collect();
        let tries = wanted.iter().map(async |wanted| match wanted.lines() {
            lines if lines.count() == 0 => Ok(Accepted { bytes: 0 }),
            lines => sink.deliver(&Batch::Lines(lines)).await,
        });
        let answers = tokio::select! {
            biased;
            answers = join_all(tries) => answers,
            () = self.stop.told_and(self.pace.grace) => return Going::Break(()),
        };
        drop(wanted);
        for (lines, answer) in batches.iter().zip(answers) {
            match self.hand_over_lines(sink, *lines, Some(answer)).await? {
                Handed::Over => {}
                Handed::Refused => return Going::Continue(Handed::Refused),
            }
        }
        Going::Continue(Handed::Over)
    }

    async fn hand_over_segment(&mut self, sink: &dyn Sink, segment: Segment<'_>) -> Going<Handed> {
        let lines = segment.last - segment.first + 1;
        self.hold_back(segment.bytes).await?;
        let batch = Batch::Segment(segment);
        loop {
            match self.settle(sink, &batch, None).await? {
                Settled::Refused => return Going::Continue(Handed::Refused),
                Settled::Accepted(accepted) => {
                    self.advance(batch.last() + 1).await?;
                    self.accepted(lines, accepted);
                    return Going::Continue(Handed::Over);
                }
                Settled::Split { why, .. } | Settled::Partly { why, .. } => {
                    self.stopped(&why, "lower `segment_max_bytes`, or raise the destination's limit");
                    self.rest_stopped().await?;
                }
            }
        }
    }

    /// In halves of halves, where the far side wants that.
    /// `answer`: what the far side said of all of them, where they were sent already.
    async fn hand_over_lines(&mut self, sink: &dyn Sink, lines: Lines<'_>, mut answer: Answer) -> Going<Handed> {
        // Depth first: never more than two parts a level, so at most 64 levels of u64 lines.
        let mut parts = vec![lines];
        while let Some(part) = parts.pop() {
            let chosen = Wanted::of(&self.choice, part);
            let wanted = chosen.lines();
            let left_out = part.count() - wanted.count();
            if answer.is_none() {
                self.hold_back(wanted.ndjson.len() as u64).await?;
            }
            match self.deliver_lines(sink, wanted, answer.take()).await? {
                Delivered::Refused => return Going::Continue(Handed::Refused),
                Delivered::All => {
                    self.advance(part.last + 1).await?;
                    self.health().lines_left_out.fetch_add(left_out, Relaxed);
                }
                Delivered::TooMuch { why, answer } => match part.halves() {
                    Some((head, tail)) => parts.extend([tail, head]),
                    None => {
                        self.bury(part.first, part.ndjson, &why, &answer).await?;
                        self.advance(part.last + 1).await?;
                    }
                },
            }
            // Between two requests is the time to stop.
            if self.stop.is_told() {
                return Going::Break(());
            }
        }
        Going::Continue(Handed::Over)
    }

    /// Until the far side has each of them, or they lie in the dead-letter folder; or says that it is too much at once.
    async fn deliver_lines(&mut self, sink: &dyn Sink, lines: Lines<'_>, mut answer: Answer) -> Going<Delivered> {
        let mut rest;
        let mut now = lines;
        let mut backoff = Backoff::new(self.pace);
        while now.count() > 0 {
            match self.settle(sink, &Batch::Lines(now), answer.take()).await? {
                Settled::Refused => return Going::Continue(Delivered::Refused),
                Settled::Accepted(accepted) => {
                    self.accepted(now.count(), accepted);
                    break;
                }
                Settled::Split { why, answer } => return Going::Continue(Delivered::TooMuch { why, answer }),
                Settled::Partly { refused, again, after, why } => {
                    let sent: Vec<(u64, &[u8])> = now.iter().collect();
                    for Refused { index, answer } in &refused {
                        if let Some((number, line)) = sent.get(*index) {
                            self.bury(*number, line, &why, answer).await?;
                        }
                    }
                    let taken = now.count().saturating_sub((refused.len() + again.len()) as u64);
                    self.accepted(taken, Accepted { bytes: 0 });
                    let mut left = Chosen::default();
                    again
                        .iter()
                        .filter_map(|index| sent.get(*index))
                        .for_each(|(number, line)| left.push(*number, line));
                    rest = left;
                    now = rest.as_lines(&lines);
                    if now.count() > 0 {
                        self.later(&why);
                        self.health().retries.fetch_add(1, Relaxed);
                        self.rest(backoff.later(after)).await?;
                    }
                }
            }
        }
        Going::Continue(Delivered::All)
    }

    /// Tries until the far side has decided. `first` is its answer, where it was asked already.
    async fn settle(&mut self, sink: &dyn Sink, batch: &Batch<'_>, mut first: Answer) -> Going<Settled> {
        let mut backoff = Backoff::new(self.pace);
        loop {
            let answer = match first.take() {
                Some(answer) => answer,
                None => tokio::select! {
                    biased;
                    answer = sink.deliver(batch) => answer,
                    () = self.stop.told_and(self.pace.grace) => return Going::Break(()),
                },
            };
            let wait = match answer {
                Ok(accepted) => return Going::Continue(Settled::Accepted(accepted)),
                Err(Refusal::Split { why, answer }) => return Going::Continue(Settled::Split { why, answer }),
                Err(Refusal::Partly { refused, again, after, why }) => {
                    return Going::Continue(Settled::Partly { refused, again, after, why });
                }
                Err(Refusal::Later { after, why }) => {
                    self.later(&why);
                    backoff.later(after)
                }
                Err(Refusal::Stop { why, hint }) => {
                    self.stopped(&why, &hint);
                    self.health().retries.fetch_add(1, Relaxed);
                    self.rest_stopped().await?;
                    return Going::Continue(Settled::Refused);
                }
            };
            self.health().retries.fetch_add(1, Relaxed);
            self.rest(wait).await?;
        }
    }

    fn accepted(&mut self, lines: u64, accepted: Accepted) {
        let health = self.health();
        health.lines_delivered.fetch_add(lines, Relaxed);
        health.bytes_delivered.fetch_add(accepted.bytes, Relaxed);
        health.last_success_ms.store(self.clock.unix_ms(), Relaxed);
        self.well();
    }

    /// Once in a while: tells of refused lines, and carries out what was ordered for dead letters. Whether it was time.
    async fn see_to_letters(&mut self, sink: &dyn Sink, origin: &str) -> Going<bool> {
        let now = self.clock.since_boot_ms();
        let every = u64::try_from(self.pace.letters.as_millis()).unwrap_or(u64::MAX);
        if self.letters_ms.is_some_and(|last| now.saturating_sub(last) < every) {
            return Going::Continue(false);
        }
        self.letters_ms = Some(now);
        self.letters.tell(now);
        if !matches!(sink.takes(), Takes::Lines { .. }) {
            return Going::Continue(true);
        }
        let obeyed = tokio::select! {
            biased;
            obeyed = self.letters.obey(sink, origin) => obeyed,
            () = self.stop.told_and(self.pace.grace) => return Going::Break(()),
        };
        match obeyed {
            Ok(Outcome { kept, replayed, waits }) => {
                self.health().dead_letters_kept.store(kept, Relaxed);
                if replayed > 0 {
                    self.accepted(replayed, Accepted { bytes: 0 });
                }
                waits.iter().for_each(|why| self.later(why));
            }
            Err(error) => self.later(&format!("cannot see to the dead letters: {error}")),
        }
        Going::Continue(true)
    }

    fn now(&self) -> Moment {
        Moment { unix_ms: self.clock.unix_ms(), since_boot_ms: self.clock.since_boot_ms() }
    }

    /// Waits until so many bytes more are within the destination's rate.
    async fn hold_back(&mut self, bytes: u64) -> Going {
        let Some(rate) = self.rate_limit else { return Going::Continue(()) };
        let now = self.clock.since_boot_ms();
        let due = self.free_ms.max(now);
        self.free_ms = due + bytes * 1000 / rate.max(1);
        if due > now { self.rest(Duration::from_millis(due - now)).await } else { Going::Continue(()) }
    }

    /// Keeps a line that is refused by itself. The cursor passes it only once that is done.
    async fn bury(&mut self, number: u64, line: &[u8], why: &str, answer: &str) -> Going {
        loop {
            match self.letters.keep(number, line, answer) {
                Ok(path) => {
                    tracing::warn!(
                        destination = %self.name, line = number, kept = %path.display(),
                        "destination refuses this line: {why}; it is kept as a dead letter"
                    );
                    self.health().dead_letters.fetch_add(1, Relaxed);
                    return Going::Continue(());
                }
                Err(error) => self.later(&format!("cannot keep line {number} as a dead letter: {error}")),
            }
            self.rest(self.pace.most).await?;
        }
    }

    /// Writes the cursor. While that fails nothing more is sent: what was sent would be sent again and again.
    async fn advance(&mut self, next_line: u64) -> Going {
        let mut backoff = Backoff::new(self.pace);
        while let Err(error) = self.cursor.store(next_line) {
            self.later(&format!("cannot write the cursor {}: {error}", self.cursor.path().display()));
            self.rest(backoff.later(None)).await?;
        }
        self.health().next_line.store(next_line, Relaxed);
        self.moved();
        Going::Continue(())
    }

    fn well(&mut self) {
        self.health().stopped.store(false, Relaxed);
        self.health().problem.set(None);
        if std::mem::replace(&mut self.said, Said::Well) != Said::Well {
            tracing::info!(destination = %self.name, "destination takes batches again");
        }
    }

    fn later(&mut self, why: &str) {
        self.health().stopped.store(false, Relaxed);
        self.health().problem.set(Some(why.to_owned()));
        if std::mem::replace(&mut self.said, Said::Later) != Said::Later {
            tracing::warn!(destination = %self.name, "destination does not take batches now, trying again: {why}");
        }
    }

    fn stopped(&mut self, why: &str, hint: &str) {
        let changed = self.health().problem.set(Some(format!("{why}\n  hint: {hint}")));
        self.health().stopped.store(true, Relaxed);
        if std::mem::replace(&mut self.said, Said::Stopped) != Said::Stopped || changed {
            tracing::error!(destination = %self.name, hint, "destination refuses, somebody has to act: {why}");
        }
        self.moved();
    }

    /// After a refusal that will not pass by itself.
    async fn rest_stopped(&mut self) -> Going {
        self.rest(Backoff::new(self.pace).stopped()).await
    }

    async fn rest(&mut self, wait: Duration) -> Going {
        tokio::select! {
            biased;
            () = self.stop.told() => Going::Break(()),
            () = tokio::time::sleep(wait) => Going::Continue(()),
        }
    }

    /// Wakes whoever waits for everything to be delivered.
    fn moved(&self) {
        self.stop.moved.send_modify(|count| *count += 1);
    }

    fn health(&self) -> &DestinationHealth {
        &self.health.destinations[self.index]
    }
}

/// The word to stop, and the bell that is rung when anything moved.
#[derive(Clone)]
pub(super) struct Stop {
    pub(super) stop: watch::Receiver<bool>,
    pub(super) moved: watch::Sender<u64>,
}

impl Stop {
    fn is_told(&self) -> bool {
        *self.stop.borrow()
    }

    /// Returns when told. A teller that is gone can tell no more, and has ended: that counts as told.
    async fn told(&mut self) {
        let _ = self.stop.wait_for(|stop| *stop).await;
    }

    async fn told_and(&mut self, grace: Duration) {
        self.told().await;
        tokio::time::sleep(grace).await;
    }
}

fn said_with_causes(error: &FeedError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
