//! A destination's dead letters while the agent runs: what is refused is kept and told of, what a person ordered is carried out.
//!
//! The trail says what became of evidence that a destination does not have: that lines were refused, sent again, or dropped. A letter is removed
//! only when the trail has said so; an agent that is killed in between does it again, which a second delivery makes harmless.

use std::io;
use std::path::PathBuf;

use super::dead_letter::{DeadLetters, Order};
use super::teller::{Teller, Told};
use crate::journal::write::Act;
use crate::limits::{DEAD_LETTERS_AT_ONCE, DEAD_LETTERS_NAMED, DEAD_LETTERS_TOLD_MS};
use crate::sink::line::Head;
use crate::sink::{Batch, Lines, Refusal, Sink};

/// Lines were refused, and lie in the folder.
pub const REFUSED: &str = "REFUSED";
/// Dead letters were sent again.
pub const REPLAYED: &str = "REPLAYED";
/// Dead letters were let go of.
pub const DROPPED: &str = "DROPPED";

/// The letters of one destination.
#[derive(Debug)]
pub(super) struct Letters {
    destination: String,
    folder: DeadLetters,
    /// `None` where nobody writes a trail.
    teller: Option<Teller>,
    /// Lines refused of which the trail does not know yet: how many, the first and the last.
    untold: Option<(u64, u64, u64)>,
    /// When it was told last, by the boot clock.
    told_ms: Option<u64>,
    /// Whether the folder was looked at for letters of an earlier run, of which the trail may not know.
    has_looked: bool,
    /// Orders that were carried out, and letters that go once the trail says so.
    done: Vec<(Vec<u64>, Option<Told>)>,
}

/// What carrying out orders came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// How many letters lie in the folder.
    pub kept: u64,
    /// Lines that the destination took.
    pub replayed: u64,
    /// Why the rest of the orders has to wait.
    pub waits: Option<String>,
}

impl Letters {
    pub(super) fn new(destination: &str, folder: DeadLetters, teller: Option<Teller>) -> Self {
        Letters {
            destination: destination.to_owned(),
            folder,
            teller,
            untold: None,
            told_ms: None,
            has_looked: false,
            done: Vec::new(),
        }
    }

    /// Keeps a line that is refused; synced when this returns.
    pub(super) fn keep(&mut self, number: u64, line: &[u8], answer: &str) -> io::Result<PathBuf> {
        let path = self.folder.keep(number, line, answer)?;
        // A line that tells of refusals is not told of: the next one would be refused as well, for ever.
        if Head::of(line).action != REFUSED {
            let (count, first, _) = self.untold.unwrap_or((0, number, number));
            self.untold = Some((count + 1, first, number));
        }
        Ok(path)
    }

    /// Tells the trail of refused lines: of those that lie there at the start, since an earlier run may have ended before it told of them, and then of
    /// new ones, once in a while.
    pub(super) fn tell(&mut self, now_ms: u64) {
        // A folder that cannot be listed is said by `obey`, and looked at again.
        if !self.has_looked
            && let Ok(letters) = self.folder.letters()
        {
            self.has_looked = true;
            let ends = letters.first_key_value().zip(letters.last_key_value());
            self.untold = ends.map(|((first, _), (last, _))| (letters.len() as u64, *first, *last));
        }
        let due = self.told_ms.is_none_or(|told| now_ms.saturating_sub(told) >= DEAD_LETTERS_TOLD_MS);
        let Some((count, first, last)) = self.untold.filter(|_| due) else { return };
        let lines = if count == 1 { format!("line {first}") } else { format!("{count} lines, {first} to {last},") };
        let message = format!("{lines} refused: kept in the dead-letter folder with the answer");
        if self.say(Act::new(REFUSED, message).failed()).is_ok() {
            (self.untold, self.told_ms) = (None, Some(now_ms));
        }
    }

    /// Carries out what was ordered, as far as the destination takes part.
    pub(super) async fn obey(&mut self, sink: &dyn Sink, origin: &str) -> io::Result<Outcome> {
        self.remove_what_is_told()?;
        let letters = self.folder.letters()?;
        let mut outcome = Outcome { kept: letters.len() as u64, ..Outcome::default() };
        let pending: Vec<u64> = self.done.iter().flat_map(|(numbers, _)| numbers.iter().copied()).collect();
        let ordered = |order| {
            let wanted =
                letters.iter().filter(move |(number, given)| **given == Some(order) && !pending.contains(number));
            wanted.map(|(number, _)| *number).take(DEAD_LETTERS_AT_ONCE).collect::<Vec<u64>>()
        };
        let (drops, replays) = (ordered.clone()(Order::Drop), ordered(Order::Replay));
        self.drop_letters(drops);
        self.replay(sink, origin, replays, &mut outcome).await?;
        Ok(outcome)
    }

    fn drop_letters(&mut self, numbers: Vec<u64>) {
        if numbers.is_empty() {
            return;
        }
        let message = format!("{} dropped by order: the destination will never have them", named(&numbers));
        // What cannot be told now is ordered still.
        if let Ok(told) = self.say(Act::new(DROPPED, message)) {
            self.done.push((numbers, told));
        }
    }

    async fn replay(
        &mut self,
        sink: &dyn Sink,
        origin: &str,
        numbers: Vec<u64>,
        outcome: &mut Outcome,
    ) -> io::Result<()> {
        let (mut taken, mut refused) = (Vec::new(), Vec::new());
        for number in numbers {
            let ndjson = self.folder.line(number)?;
            let lines = Lines { origin, first: number, last: number, ndjson: &ndjson, numbers: None };
            match sink.deliver(&Batch::Lines(lines)).await {
                Ok(_) => taken.push(number),
                Err(Refusal::Split { answer, .. }) => {
                    self.folder.keep(number, &ndjson, &answer)?;
                    refused.push(number);
                }
                Err(Refusal::Partly { refused: lines, .. }) if !lines.is_empty() => {
                    self.folder.keep(number, &ndjson, &lines[0].answer)?;
                    refused.push(number);
                }
                Err(Refusal::Later { why, .. } | Refusal::Stop { why, .. } | Refusal::Partly { why, .. }) => {
                    outcome.waits = Some(why);
                    break;
                }
            }
        }
        outcome.replayed = taken.len() as u64;
        if !refused.is_empty() {
            // If this cannot be told now, the answers beside the letters still say it.
            let _ = self.say(Act::new(REPLAYED, format!("{} sent again and refused again", named(&refused))).failed());
        }
        if !taken.is_empty()
            && let Ok(told) = self.say(Act::new(REPLAYED, format!("{} sent again and taken", named(&taken))))
        {
            self.done.push((taken, told));
        }
        Ok(())
    }

    fn remove_what_is_told(&mut self) -> io::Result<()> {
        let is_told = |told: &Option<Told>| told.as_ref().is_none_or(Told::is_sealed);
        let folder = &self.folder;
        let mut result = Ok(());
        self.done.retain(|(numbers, told)| {
            if !is_told(told) || result.is_err() {
                return true;
            }
            result = numbers.iter().try_for_each(|number| folder.remove(*number));
            result.is_err()
        });
        result
    }

    /// `Err` when it has to be said later.
    fn say(&self, act: Act) -> Result<Option<Told>, ()> {
        let Some(teller) = &self.teller else { return Ok(None) };
        teller.tell(act.of_destination(&self.destination)).map(Some).ok_or(())
    }
}

/// `line 5`, `3 lines: 5, 7, 9`.
fn named(numbers: &[u64]) -> String {
    let some: Vec<String> = numbers.iter().take(DEAD_LETTERS_NAMED).map(u64::to_string).collect();
    match numbers {
        [one] => format!("line {one}"),
        all if all.len() > some.len() => format!("{} lines: {} …", all.len(), some.join(", ")),
        all => format!("{} lines: {}", all.len(), some.join(", ")),
    }
}
