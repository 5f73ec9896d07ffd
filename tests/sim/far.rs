//! Destinations under the test's control: they fail, stall, answer late, accept and lose the answer, refuse, and go down for long. What
//! they said yes to, they hold.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use fastrand::Rng;
use sealtrail::disk;
use sealtrail::sink::{Accepted, Batch, Doing, ProbeError, Probed, Refusal, Sink, Takes};

use crate::disk::SimDisk;

/// A sink gives up by itself after this long.
const TIMEOUT: Duration = Duration::from_secs(4);

/// How a destination is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Well,
    /// Says no.
    Fails,
    /// Says that somebody has to act.
    Refuses,
    /// Never answers.
    Stalls,
    /// Takes the batch and never answers, or answers late.
    Late,
    /// Takes the batch, and the answer is lost.
    LosesAnswers,
    /// Some of all that at random.
    Moody,
}

/// A far side. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Far(Arc<Mutex<Held>>);

#[derive(Debug)]
struct Held {
    disk: SimDisk,
    rng: Rng,
    lines_wanted: bool,
    mood: Mood,
    /// No more lines at once than this; 0 is no limit.
    lines_max: u64,
    /// Takes no line with this in it.
    poison: Option<Vec<u8>>,
    lines: BTreeMap<u64, Vec<u8>>,
    segments: BTreeMap<u64, Vec<u8>>,
    /// The same with other bytes, as they came.
    contradictions: Vec<String>,
    pub refused: u64,
}

impl Far {
    pub fn new(disk: &SimDisk, seed: u64, lines_wanted: bool) -> Self {
        Far(Arc::new(Mutex::new(Held {
            disk: disk.clone(),
            rng: Rng::with_seed(seed),
            lines_wanted,
            mood: Mood::Well,
            lines_max: 0,
            poison: None,
            lines: BTreeMap::new(),
            segments: BTreeMap::new(),
            contradictions: Vec::new(),
            refused: 0,
        })))
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap()
    }

    pub fn set_mood(&self, mood: Mood) {
        self.held().mood = mood;
    }

    /// Takes no more lines at once than `lines`, and none with `poison` in it.
    pub fn set_limits(&self, lines: u64, poison: Option<&str>) {
        let mut held = self.held();
        held.lines_max = lines;
        held.poison = poison.map(|text| text.as_bytes().to_vec());
    }

    pub fn takes_lines(&self) -> bool {
        self.held().lines_wanted
    }

    /// Every line that it holds, by its number.
    pub fn lines(&self) -> BTreeMap<u64, Vec<u8>> {
        self.held().lines.clone()
    }

    /// Every segment that it holds, by its first line's number.
    pub fn segments(&self) -> BTreeMap<u64, Vec<u8>> {
        self.held().segments.clone()
    }

    /// What it was given a second time with other bytes.
    pub fn contradictions(&self) -> Vec<String> {
        self.held().contradictions.clone()
    }
}

impl Sink for Far {
    fn takes(&self) -> Takes {
        if self.held().lines_wanted { Takes::Lines { batch_max_bytes: 4000 } } else { Takes::Segments }
    }

    fn deliver<'a>(&'a self, batch: &'a Batch<'a>) -> Doing<'a, Result<Accepted, Refusal>> {
        let mood = self.held().mood_now();
        Box::pin(async move {
            match mood {
                Mood::Fails => Err(later("told to fail")),
                Mood::Refuses => Err(Refusal::Stop { why: "told to refuse".into(), hint: "wait".into() }),
                Mood::Stalls => {
                    tokio::time::sleep(TIMEOUT).await;
                    Err(later("no answer"))
                }
                Mood::Late => {
                    let wait = self.held().rng.u64(1..6000);
                    tokio::time::sleep(Duration::from_millis(wait).min(TIMEOUT)).await;
                    let taken = self.held().take(batch);
                    if wait < 4000 { taken } else { Err(later("the answer came too late")) }
                }
                Mood::LosesAnswers => {
                    self.held().take(batch)?;
                    Err(later("the answer was lost"))
                }
                Mood::Well | Mood::Moody => self.held().take(batch),
            }
        })
    }

    fn probe(&self) -> Doing<'_, Result<Probed, ProbeError>> {
        Box::pin(async { Ok(Probed { checked: "nothing" }) })
    }
}

impl Held {
    fn mood_now(&mut self) -> Mood {
        const MOODS: [Mood; 6] = [Mood::Well, Mood::Fails, Mood::Refuses, Mood::Stalls, Mood::Late, Mood::LosesAnswers];
        if self.mood == Mood::Moody { MOODS[self.rng.usize(0..MOODS.len())] } else { self.mood }
    }

    fn take(&mut self, batch: &Batch<'_>) -> Result<Accepted, Refusal> {
        match batch {
            Batch::Lines(lines) => {
                let too_many = self.lines_max > 0 && lines.last - lines.first >= self.lines_max;
                let poisoned = self.poison.as_ref().is_some_and(|poison| contains(lines.ndjson, poison));
                if too_many || poisoned {
                    self.refused += 1;
                    return Err(Refusal::Split { why: "told to split".into(), answer: "an answer".into() });
                }
                let mut number = lines.first;
                for line in lines.ndjson.split_inclusive(|byte| *byte == b'\n') {
                    let before = self.lines.insert(number, line.to_vec());
                    if before.is_some_and(|before| before != line) {
                        self.contradictions.push(format!("line {number} came twice, with other bytes"));
                    }
                    number += 1;
                }
                if number != lines.last + 1 {
                    self.contradictions.push(format!("a batch to line {} ended at {number}", lines.last));
                }
                Ok(Accepted { bytes: lines.ndjson.len() as u64 })
            }
            Batch::Segment(segment) => {
                let bytes = disk::read(&self.disk, segment.path).map_err(|error| later(&error.to_string()))?;
                if bytes.len() as u64 != segment.bytes {
                    self.contradictions.push(format!("segment {} has another length than said", segment.first));
                }
                let before = self.segments.insert(segment.first, bytes.clone());
                if before.is_some_and(|before| before != bytes) {
                    self.contradictions.push(format!("segment {} came twice, with other bytes", segment.first));
                }
                Ok(Accepted { bytes: segment.bytes })
            }
        }
    }
}

fn later(why: &str) -> Refusal {
    Refusal::Later { after: None, why: why.to_owned() }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}
