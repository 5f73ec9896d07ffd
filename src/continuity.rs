//! Whether this state folder is the one that the agent left, and what is done and said when it is not.
//!
//! A folder can be copied to another host, restored from a backup, or lose its journal. The trail's key signs whatever comes then, so
//! nothing but the agent can tell an auditor that two continuations of one trail exist, or that lines once sealed are gone. So at
//! start, before a row is read, the journal is compared with those who saw it last: the anchor ([`crate::journal::anchor`]) and the
//! destinations' cursors. Each finding is an act in the trail, which makes `verify` say 3.
//!
//! Two rules decide. Where another agent may be going on with the same trail, this one does not start until somebody says so. Else it
//! goes on, from the journal's end or from where the anchor knows the last closed segment to have ended, whichever is further: the fewer
//! numbers are given to two lines the better.
//!
//! Hard here: a crash between finding something and sealing it. The finding is written into the anchor before anything that proves it is
//! changed, and stays there until the first block is on the disk.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sealtrail_seal::{Chain, VerifierKey};
use tracing::{info, warn};

use crate::config::plan::AgentPlan;
use crate::disk::Disk;
use crate::host::Host;
use crate::journal::anchor::{self, Anchor, Closed, Folder, Found, Keeper, Machine, Mark, Unsaid, What};
use crate::journal::recover::Recovered;
use crate::journal::write::{Act, Resume};
use crate::ship::cursor::{self, Cursor};

/// Why this agent must not go on.
#[derive(Debug, thiserror::Error)]
pub enum ContinuityError {
    /// Another agent may be going on with the same trail.
    #[error("the state folder {} is a copy: {why}", path.display())]
    Elsewhere {
        /// This folder.
        path: PathBuf,
        /// Whose it is.
        why: String,
    },
    /// The state folder cannot be read or written.
    #[error("cannot use {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

impl ContinuityError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Elsewhere { .. } => {
                "two agents must not go on with one trail: give this one an empty state_dir and an origin of its own; or, if no other \
                 agent will ever go on with it, start once with `--adopt-state`, which the trail will say"
                    .to_owned()
            }
            Self::Io { .. } => "the state folder has to be writable by the user that the agent runs as, with room on its disk".to_owned(),
        }
    }
}

/// Who saw the trail last, beside the journal.
pub struct Past {
    state_dir: PathBuf,
    machine: Machine,
    anchor: Option<Box<Anchor>>,
    /// Each destination's first line that it does not have.
    cursors: Vec<(String, u64)>,
    /// What is to be said: left over from a start that came to nothing, and what is wrong with the folder itself.
    unsaid: Vec<Unsaid>,
    /// How many of these are left over.
    left_over: usize,
    /// The folder was that of a trail of another name: its cursors say nothing of this one.
    other_trail: bool,
}

/// How a trail goes on.
pub struct Continued {
    /// What was found, for the trail.
    pub acts: Vec<Act>,
    /// The same for a person who asks for the status; `None` when all is as it was left.
    pub problem: Option<String>,
    /// Keeps the anchor from now on.
    pub keeper: Keeper,
}

/// Whose a folder is.
enum Whose {
    Ours,
    /// Another agent may be going on with it.
    Elsewhere(String),
    /// Nobody else's that we know of, but not the one that was left.
    Other(Unsaid),
}

impl Past {
    /// Looks at the folder, and refuses to go on where somebody else may be doing so. Changes nothing.
    pub fn look(host: &Host, agent: &AgentPlan) -> Result<Self, ContinuityError> {
        let disk = host.disk.as_ref();
        let machine = Machine::this(host);
        let cursors = cursor::all(disk, &agent.state_dir).map_err(failed(&agent.state_dir))?;
        let state_dir = agent.state_dir.clone();
        let (unsaid, left_over, other_trail) = (Vec::new(), 0, false);
        let mut past = Past { state_dir, machine, anchor: None, cursors, unsaid, left_over, other_trail };
        match load(disk, &agent.state_dir)? {
            Found::Anchor(anchor) if anchor.origin == agent.origin => past.compare_folder(disk, anchor)?,
            Found::Anchor(anchor) => {
                // The keys have been changed as well, or the start ends with them: somebody began another trail here.
                info!(was = anchor.origin, "the state folder was that of another trail");
                past.other_trail = true;
            }
            Found::Nothing => {}
            Found::Damaged(why) => {
                let message = format!(
                    "the anchor cannot be read ({why}): whether the trail was further than the journal is not known"
                );
                past.unsaid.push(Unsaid { what: What::AnchorDamaged, message });
            }
        }
        Ok(past)
    }

    fn compare_folder(&mut self, disk: &dyn Disk, anchor: Box<Anchor>) -> Result<(), ContinuityError> {
        self.unsaid.clone_from(&anchor.unsaid);
        self.left_over = self.unsaid.len();
        match whose(disk, &self.state_dir, &anchor, &self.machine)? {
            Whose::Ours => {}
            Whose::Elsewhere(why) => return Err(ContinuityError::Elsewhere { path: self.state_dir.clone(), why }),
            Whose::Other(finding) => self.find(finding.what, finding.message),
        }
        if anchor.folder.machine.host != self.machine.host {
            info!(was = anchor.folder.machine.host, now = self.machine.host, "the host has another name");
        }
        self.anchor = Some(anchor);
        Ok(())
    }

    /// Compares what the journal says with what was seen of it, and sees to it that the trail goes on in a way that can be told.
    pub fn go_on(
        mut self,
        host: &Host,
        recovered: &mut Recovered,
        key: &VerifierKey,
    ) -> Result<Continued, ContinuityError> {
        let end = recovered.resume.chain.lines();
        self.compare_lines(recovered, key);
        self.resume_from_anchor(recovered);
        let chain = &recovered.resume.chain;
        let start = chain.lines();
        self.tell_of_lines(end, start, key);
        if !self.unsaid.is_empty() {
            // Files are entered at their end when a trail begins, not when it begins again.
            recovered.sealed_at.get_or_insert_with(|| time(host.clock.unix_ms()));
        }
        let keeper = self.keeper(host, recovered, key);
        self.write_down(host, &keeper, chain, key)?;
        for Unsaid { message, .. } in &self.unsaid {
            warn!("{message}");
        }
        let problem: Vec<&str> = self.unsaid.iter().map(|finding| finding.message.as_str()).collect();
        let problem = Some(problem.join("; ")).filter(|problem| !problem.is_empty());
        Ok(Continued { acts: self.unsaid.iter().map(act).collect(), problem, keeper })
    }

    fn keeper(&self, host: &Host, recovered: &Recovered, key: &VerifierKey) -> Keeper {
        let files: Vec<_> = recovered.files.iter().chain(&recovered.spent).cloned().collect();
        let next = recovered.began.clone().unwrap_or_else(|| recovered.resume.chain.segment(key, files.clone()));
        let known = self.anchor.as_ref().filter(|anchor| anchor.closed.next.first == next.first);
        let unix_ms = known.map_or_else(|| host.clock.unix_ms(), |anchor| anchor.closed.unix_ms);
        Keeper::new(host, &self.state_dir, self.machine.clone(), files, Closed { next, unix_ms })
    }

    /// The lines that both know have to be the same.
    fn compare_lines(&mut self, recovered: &Recovered, key: &VerifierKey) {
        let Some(anchor) = &self.anchor else { return };
        let end = recovered.resume.chain.segment(key, Vec::new());
        let differs = |lines: u64, root: &str| {
            let here = [Some(&end), recovered.began.as_ref()];
            here.into_iter().flatten().any(|here| here.first == lines && here.root != root)
        };
        let pairs = [(anchor.seen.lines, &anchor.seen.root), (anchor.closed.next.first, &anchor.closed.next.root)];
        let Some((lines, _)) = pairs.into_iter().find(|(lines, root)| differs(*lines, root)) else { return };
        let message = format!(
            "the first {lines} lines of the journal are not those that the agent knew at {}: it is another continuation of the trail",
            anchor.time
        );
        self.find(What::StateRestored, message);
    }

    /// Where the anchor knows more than the journal has, it is gone on from there: its numbers are at the archives already.
    fn resume_from_anchor(&self, recovered: &mut Recovered) {
        let Some(anchor) =
            self.anchor.as_ref().filter(|anchor| anchor.closed.next.first > recovered.resume.chain.lines())
        else {
            return;
        };
        let chain = match Chain::resume(&anchor.closed.next) {
            Ok(chain) => chain,
            Err(error) => return warn!(%error, "the anchor cannot be gone on from"),
        };
        recovered.resume = Resume { chain, open: None };
        recovered.began = None;
        (recovered.spent, recovered.files) = anchor.closed.next.files.iter().cloned().partition(|file| file.ended);
        recovered.sealed_at = Some(time(anchor.closed.unix_ms));
    }

    /// `end` is where the journal ends, `start` where the trail goes on.
    fn tell_of_lines(&mut self, end: u64, start: u64, key: &VerifierKey) {
        let Some((lines, witness)) = self.furthest().filter(|(lines, _)| *lines > end) else { return };
        let (what, found) = match end {
            0 => (What::JournalLost, "the journal is gone".to_owned()),
            _ => (What::StateRestored, format!("the journal ends after {end} lines")),
        };
        let mut message = format!(
            "{found}, but {witness} the trail had at least {lines}: it was restored from a backup, cut or deleted."
        );
        message.push_str(&format!(" It goes on at line {start}"));
        message.push_str(match (start > end, start) {
            (true, _) => {
                ", where the last segment that was closed ended, and in the database's files where that stood."
            }
            (false, 0) => ", and the database's files are read from their beginning.",
            (false, _) => ", and in the database's files where the journal stands.",
        });
        if lines > start {
            message.push_str(&format!(
                " Lines {start} to {} were sealed before with other content, and may have been delivered.",
                lines - 1
            ));
        }
        if self.anchor.as_ref().is_some_and(|anchor| end == 0 && anchor.closed.next.key != key.to_string()) {
            message.push_str(&format!(" The key is lost too: from here on {} signs.", key.label()));
        }
        self.find(what, message);
    }

    /// How far the trail was, and by whose word.
    fn furthest(&self) -> Option<(u64, String)> {
        let anchor =
            self.anchor.as_ref().map(|anchor| (anchor.seen.lines, format!("by the anchor of {}", anchor.time)));
        let cursors = self.cursors.iter().filter(|_| !self.other_trail);
        let cursors = cursors.map(|(name, lines)| (*lines, format!("by the cursor of destination {name}")));
        cursors.chain(anchor).max_by_key(|(lines, _)| *lines)
    }

    /// Said once, however often a start finds it before it is sealed.
    fn find(&mut self, what: What, message: String) {
        if !self.unsaid[..self.left_over].iter().any(|finding| finding.what == what) {
            self.unsaid.push(Unsaid { what, message });
        }
    }

    /// What is found goes into the anchor, and then the cursors that are too far go back: lines that have their numbers from now on are not
    /// to be passed over.
    fn write_down(
        &self,
        host: &Host,
        keeper: &Keeper,
        chain: &Chain,
        key: &VerifierKey,
    ) -> Result<(), ContinuityError> {
        let start = chain.lines();
        let ahead: Vec<&String> =
            self.cursors.iter().filter(|(_, lines)| *lines > start).map(|(name, _)| name).collect();
        let written = if self.unsaid.is_empty() { Ok(()) } else { keeper.write(chain, key, &self.unsaid) };
        match written {
            Ok(()) => {}
            // It is found again next time, since nothing of it has been changed.
            Err(error) if ahead.is_empty() => warn!(%error, "cannot write the anchor"),
            Err(error) => return Err(failed(&anchor::path(&self.state_dir))(error)),
        }
        for name in ahead {
            let cursor = Cursor::new(host.disk.clone(), &self.state_dir, name);
            cursor.store(start).map_err(failed(cursor.path()))?;
            warn!(destination = name, line = start, "its cursor was beyond the trail, and was set back");
        }
        Ok(())
    }
}

/// Makes a folder that is a copy this agent's own; the trail will say so. Does nothing to one that nobody else may be going on with.
pub fn adopt(host: &Host, agent: &AgentPlan) -> Result<(), ContinuityError> {
    let disk = host.disk.as_ref();
    let Found::Anchor(mut anchor) = load(disk, &agent.state_dir)? else { return Ok(()) };
    let machine = Machine::this(host);
    let Whose::Elsewhere(why) = whose(disk, &agent.state_dir, &anchor, &machine)? else { return Ok(()) };
    let message = format!(
        "the state folder is a copy: {why}, with {} lines. The order was given to go on here: should the trail go on there as well, \
         there are two continuations of it, with other lines under the same numbers",
        anchor.seen.lines
    );
    anchor.unsaid.push(Unsaid { what: What::StateCopied, message });
    anchor.folder = Folder::of(&agent.state_dir, &machine);
    anchor.write(disk).map_err(failed(&anchor::path(&agent.state_dir)))
}

/// Compares the folder that an anchor was written in with the one that it was found in.
fn whose(disk: &dyn Disk, state_dir: &Path, anchor: &Anchor, machine: &Machine) -> Result<Whose, ContinuityError> {
    let path = anchor::path(state_dir);
    let (was, time) = (&anchor.folder, &anchor.time);
    if machine.is_other_than(&was.machine) {
        return Ok(Whose::Elsewhere(format!(
            "the agent on another machine, {}, wrote it at {time}",
            was.machine.name()
        )));
    }
    let mark = Mark::of(disk, &path).map_err(failed(&path))?;
    if mark.is(&was.mark) {
        return Ok(Whose::Ours);
    }
    if is_in_use(disk, &was.path, state_dir, &anchor.origin) {
        return Ok(Whose::Elsewhere(format!("its original {} is still there", was.path.display())));
    }
    let lines = anchor.seen.lines;
    Ok(Whose::Other(if machine.may_be_other_than(&was.machine) {
        let message = format!(
            "the state folder is a copy of one that the agent on {} left at {time} with {lines} lines: whether the trail went on there, \
             with other lines under the same numbers, is not known here",
            was.machine.name()
        );
        Unsaid { what: What::StateCopied, message }
    } else {
        let message = format!(
            "the state folder is not the one that the agent left at {time} with {lines} lines, but a copy of it: restored from a backup, or \
             moved to another file system. What was sealed after that copy was made is not in it, and its numbers are given anew"
        );
        Unsaid { what: What::StateRestored, message }
    }))
}

/// Whether a folder of this trail is where this one was copied from, and is not this one under another name.
fn is_in_use(disk: &dyn Disk, original: &Path, state_dir: &Path, origin: &str) -> bool {
    let (there, here) = (anchor::path(original), anchor::path(state_dir));
    let (Ok(theirs), Ok(ours)) = (disk.status(&there), disk.status(&here)) else { return false };
    if (theirs.dev, theirs.ino) == (ours.dev, ours.ino) {
        return false;
    }
    match (anchor::load(disk, &there), Mark::of(disk, &there)) {
        (Ok(Found::Anchor(anchor)), Ok(mark)) => anchor.origin == origin && anchor.folder.mark.is(&mark),
        _ => false,
    }
}

fn time(unix_ms: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(unix_ms)
}

fn act(finding: &Unsaid) -> Act {
    let act = |action| Act::new(action, finding.message.clone());
    match finding.what {
        What::JournalLost => act("JOURNAL LOST").failed(),
        What::StateCopied => act("STATE COPIED").failed(),
        What::StateRestored => act("STATE RESTORED").failed(),
        What::AnchorDamaged => act("ANCHOR DAMAGED").unknown(),
    }
}

fn load(disk: &dyn Disk, state_dir: &Path) -> Result<Found, ContinuityError> {
    let path = anchor::path(state_dir);
    anchor::load(disk, &path).map_err(failed(&path))
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> ContinuityError {
    let path = path.to_owned();
    move |source| ContinuityError::Io { path, source }
}
