//! `/metrics`: the counters as OpenMetrics text.
//!
//! Three tables say what there is; a collector reads the atomics when it is asked, so there is no second set of numbers that
//! could disagree with `status`. Names and labels are a promise to dashboards: `docs/operations.md` lists them, and a test
//! compares.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::verdict;
use super::{DestinationHealth, Health, SourceHealth, UNKNOWN};
use crate::clock;
use crate::shape::Category;
use crate::shape::tally::{FIELDS, From};

/// What `/metrics` sends as `Content-Type`.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics as they are now, ended by `# EOF`.
pub fn text(health: &Arc<Health>) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape { health: Arc::clone(health), now_ms: clock::unix_ms() }));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)?;
    Ok(text)
}

/// One look at the counters.
#[derive(Debug)]
struct Scrape {
    health: Arc<Health>,
    now_ms: u64,
}

/// A metric of a `T`. OpenMetrics puts `_total` after a counter's name.
struct Metric<T> {
    name: &'static str,
    help: &'static str,
    read: Read<T>,
}

/// How a metric is read from a `T`, at the time of the look.
enum Read<T> {
    Counter(fn(&T) -> &AtomicU64),
    Gauge(fn(&T, &Scrape) -> u64),
    Float(fn(&T, &Scrape) -> f64),
}

use Read::{Counter, Float, Gauge};

const AGENT: &[Metric<Health>] = &[
    Metric {
        name: "sealtrail_start_timestamp_seconds",
        help: "Start of this run",
        read: Float(|health, _| seconds(health.started_ms)),
    },
    Metric {
        name: "sealtrail_turn_age_seconds",
        help: "Time since the core thread's last turn",
        read: Float(|health, scrape| seconds(verdict::turn_age_ms(health, scrape.now_ms))),
    },
    Metric {
        name: "sealtrail_folders_watched",
        help: "Folders of which the kernel tells every change",
        read: Gauge(|health, _| get(&health.watch.watched)),
    },
    Metric {
        name: "sealtrail_folders_polled",
        help: "Folders that are looked at on a timer",
        read: Gauge(|health, _| get(&health.watch.polled)),
    },
    Metric {
        name: "sealtrail_ready",
        help: "1 while /readyz says yes",
        read: Gauge(|health, scrape| u64::from(verdict::unready(health, scrape.now_ms).is_empty())),
    },
    Metric {
        name: "sealtrail_journal_sealed_bytes",
        help: "Uncompressed bytes of lines sealed",
        read: Counter(|health| &health.journal.bytes_sealed),
    },
    Metric {
        name: "sealtrail_journal_sealed_blocks",
        help: "Blocks sealed",
        read: Counter(|health| &health.journal.blocks_sealed),
    },
    Metric {
        name: "sealtrail_journal_lines",
        help: "Lines in the trail since it began",
        read: Gauge(|health, _| get(&health.journal.lines)),
    },
    Metric {
        name: "sealtrail_journal_bytes",
        help: "Bytes of the journal on disk",
        read: Gauge(|health, _| get(&health.journal.bytes_on_disk)),
    },
    Metric {
        name: "sealtrail_journal_budget_bytes",
        help: "Bytes that the journal may have on disk",
        read: Gauge(|health, _| get(&health.journal.bytes_max)),
    },
    Metric {
        name: "sealtrail_journal_segments",
        help: "Segments on disk",
        read: Gauge(|health, _| get(&health.journal.segments)),
    },
    Metric {
        name: "sealtrail_journal_last_seal_timestamp_seconds",
        help: "Time of the last seal, 0 before the first",
        read: Float(|health, _| seconds(get(&health.journal.last_seal_ms))),
    },
    Metric {
        name: "sealtrail_journal_paused",
        help: "1 while reading is paused: the budget is used up or the disk is full",
        read: Gauge(|health, _| flag(&health.journal.paused)),
    },
    Metric {
        name: "sealtrail_journal_continuity_broken",
        help: "1 if this run found at its start that the state folder was copied or restored, or had lost its journal",
        read: Gauge(|health, _| u64::from(health.journal.continuity.get().is_some())),
    },
    Metric {
        name: "sealtrail_identity_rules",
        help: "Rules of the directory in force, 0 where no identity is configured",
        read: Gauge(|health, _| health.identity.as_ref().map_or(0, |identity| get(&identity.rules))),
    },
    Metric {
        name: "sealtrail_identity_broken",
        help: "1 while the files of rules are wrong: the last right ones are in force",
        read: Gauge(|health, _| u64::from(health.identity.as_ref().is_some_and(|it| it.problem.get().is_some()))),
    },
    Metric {
        name: "sealtrail_identity_mapped_rows",
        help: "Rows of this run for which a rule was found",
        read: Gauge(|health, _| health.identity.as_ref().map_or(0, |identity| get(&identity.mapped))),
    },
    Metric {
        name: "sealtrail_identity_unmapped_rows",
        help: "Rows of this run of accounts for which no rule was found",
        read: Gauge(|health, _| health.identity.as_ref().map_or(0, |identity| get(&identity.unmapped))),
    },
    Metric {
        name: "sealtrail_journal_undelivered_bytes",
        help: "Bytes of the journal that may not be deleted: a required destination does not have them",
        read: Gauge(|health, _| get(&health.journal.bytes_undelivered)),
    },
    Metric {
        name: "sealtrail_journal_short",
        help: "1 while room is running out: in the budget, or on the disk",
        read: Gauge(|health, _| flag(&health.journal.short)),
    },
    Metric {
        name: "sealtrail_journal_disk_free_bytes",
        help: "Bytes left on the disk of the state folder, NaN if not known",
        read: Float(|health, _| number(get(&health.journal.space_bytes))),
    },
];

const SOURCE: &[Metric<SourceHealth>] = &[
    Metric { name: "sealtrail_source_read_bytes", help: "Bytes of log read", read: Counter(|one| &one.bytes_read) },
    Metric { name: "sealtrail_source_read_rows", help: "Rows read", read: Counter(|one| &one.rows_read) },
    Metric {
        name: "sealtrail_source_sealed_rows",
        help: "Rows sealed and synced",
        read: Counter(|one| &one.rows_sealed),
    },
    Metric {
        name: "sealtrail_source_unparsed_rows",
        help: "Rows that could not be understood and were kept as they are",
        read: Counter(|one| &one.rows_unparsed),
    },
    Metric {
        name: "sealtrail_source_gaps",
        help: "Gaps found: runs of missing row numbers, and bytes that went away unread",
        read: Counter(|one| &one.gaps),
    },
    Metric {
        name: "sealtrail_source_sessions",
        help: "Sessions that are open, as far as their rows say",
        read: Gauge(|one, _| get(&one.sessions)),
    },
    Metric {
        name: "sealtrail_source_errors",
        help: "Failures to open or read a file",
        read: Counter(|one| &one.errors),
    },
    Metric {
        name: "sealtrail_source_lag_bytes",
        help: "Bytes in the files that are not read yet",
        read: Gauge(|one, _| get(&one.lag_bytes)),
    },
    Metric {
        name: "sealtrail_source_lag_seconds",
        help: "Age of the newest row read while bytes wait, 0 when none wait",
        read: Float(|one, scrape| seconds(source_lag_ms(one, &scrape.health, scrape.now_ms))),
    },
    Metric {
        name: "sealtrail_source_last_row_timestamp_seconds",
        help: "Time of the newest row read, 0 before the first",
        read: Float(|one, _| seconds(get(&one.last_row_ms))),
    },
    Metric { name: "sealtrail_source_files", help: "Files known", read: Gauge(|one, _| get(&one.files)) },
    Metric {
        name: "sealtrail_source_problem",
        help: "1 while the source has a standing problem; `sealtrail status` says which",
        read: Gauge(|one, _| u64::from(one.problem.get().is_some())),
    },
    Metric {
        name: "sealtrail_source_quiet",
        help: "1 while the source is quiet for longer than it should be",
        read: Gauge(|one, _| u64::from(one.quiet.get().is_some())),
    },
    Metric {
        name: "sealtrail_source_quiet_seconds",
        help: "Time since something was last read, or since the start of the run",
        read: Float(|one, scrape| seconds(quiet_ms(one, &scrape.health, scrape.now_ms))),
    },
    Metric {
        name: "sealtrail_source_quiet_after_seconds",
        help: "After how long the source is called quiet, NaN if never or not known yet",
        read: Float(|one, _| number(get(&one.quiet_after_ms)) / 1000.0),
    },
    Metric {
        name: "sealtrail_source_missing",
        help: "1 while no file matches the source's patterns",
        read: Gauge(|one, _| flag(&one.missing)),
    },
    Metric {
        name: "sealtrail_source_unreadable_files",
        help: "Files that match and cannot be read",
        read: Gauge(|one, _| get(&one.unreadable_files)),
    },
    Metric {
        name: "sealtrail_source_silences",
        help: "How often the source fell quiet, had no file, or had one that could not be read",
        read: Counter(|one| &one.silences),
    },
    Metric {
        name: "sealtrail_source_growth_bytes_per_second",
        help: "How fast the log grows, NaN if not known yet",
        read: Float(|one, _| number(get(&one.growth))),
    },
    Metric {
        name: "sealtrail_source_kept_seconds",
        help: "How long the source keeps a file after its last write, NaN if not known",
        read: Float(|one, _| number(get(&one.kept_ms)) / 1000.0),
    },
    Metric {
        name: "sealtrail_source_covered_seconds",
        help: "For how long what is not read yet will still be there, NaN if not known or nothing waits",
        read: Float(|one, _| number(get(&one.covered_ms)) / 1000.0),
    },
];

const DESTINATION: &[Metric<DestinationHealth>] = &[
    Metric {
        name: "sealtrail_destination_delivered_lines",
        help: "Lines delivered",
        read: Counter(|one| &one.lines_delivered),
    },
    Metric {
        name: "sealtrail_destination_left_out_lines",
        help: "Lines that it does not take, by its own configuration",
        read: Counter(|one| &one.lines_left_out),
    },
    Metric {
        name: "sealtrail_destination_delivered_bytes",
        help: "Bytes delivered, as sent",
        read: Counter(|one| &one.bytes_delivered),
    },
    Metric {
        name: "sealtrail_destination_retries",
        help: "Requests that had to be made again",
        read: Counter(|one| &one.retries),
    },
    Metric {
        name: "sealtrail_destination_dead_letters",
        help: "Lines that were refused and went to the dead-letter folder",
        read: Counter(|one| &one.dead_letters),
    },
    Metric {
        name: "sealtrail_destination_dead_letters_kept",
        help: "Lines that lie in the dead-letter folder",
        read: Gauge(|one, _| get(&one.dead_letters_kept)),
    },
    Metric {
        name: "sealtrail_destination_lag_lines",
        help: "Lines of the trail that the destination does not have yet",
        read: Gauge(|one, scrape| lag_lines(one, &scrape.health)),
    },
    Metric {
        name: "sealtrail_destination_lag_bytes",
        help: "Bytes of journal segments that the destination does not have whole, compressed",
        read: Gauge(|one, _| get(&one.lag_bytes)),
    },
    Metric {
        name: "sealtrail_destination_lag_seconds",
        help: "Time since the last success while lines wait, 0 when none wait",
        read: Float(|one, scrape| seconds(destination_lag_ms(one, &scrape.health, scrape.now_ms))),
    },
    Metric {
        name: "sealtrail_destination_last_success_timestamp_seconds",
        help: "Time of the last success, 0 before the first",
        read: Float(|one, _| seconds(get(&one.last_success_ms))),
    },
    Metric {
        name: "sealtrail_destination_stopped",
        help: "1 while it refuses for a reason that will not pass by itself",
        read: Gauge(|one, _| flag(&one.stopped)),
    },
    Metric {
        name: "sealtrail_destination_required",
        help: "1 if the journal waits for it",
        read: Gauge(|one, _| u64::from(one.required)),
    },
];

/// How long ago the newest row read was written, while bytes wait; the start of the run counts before the first row.
pub fn source_lag_ms(source: &SourceHealth, health: &Health, now_ms: u64) -> u64 {
    let newest = Some(get(&source.last_row_ms)).filter(|&ms| ms > 0).unwrap_or(health.started_ms);
    if get(&source.lag_bytes) == 0 { 0 } else { now_ms.saturating_sub(newest) }
}

/// How long nothing was read; the start of the run counts before the first reading.
pub fn quiet_ms(source: &SourceHealth, health: &Health, now_ms: u64) -> u64 {
    now_ms.saturating_sub(get(&source.last_read_ms).max(health.started_ms))
}

/// Lines sealed that a destination does not have.
pub fn lag_lines(destination: &DestinationHealth, health: &Health) -> u64 {
    get(&health.journal.lines).saturating_sub(get(&destination.next_line))
}

/// How long a destination that has lines to take has not taken any, in this run.
pub fn destination_lag_ms(destination: &DestinationHealth, health: &Health, now_ms: u64) -> u64 {
    let since = get(&destination.last_success_ms).max(health.started_ms);
    if lag_lines(destination, health) == 0 { 0 } else { now_ms.saturating_sub(since) }
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        self.build_info(&mut encoder)?;
        let health = &self.health;
        self.table(&mut encoder, AGENT, std::slice::from_ref(&**health), |_| [] as [(&str, &str); 0])?;
        self.table(&mut encoder, SOURCE, &health.sources, |one| [("source", one.name.as_str())])?;
        self.tallies(&mut encoder)?;
        self.table(&mut encoder, DESTINATION, &health.destinations, |one| {
            [("destination", one.name.as_str()), ("type", one.kind)]
        })
    }
}

impl Scrape {
    fn build_info(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let labels =
            [("version", env!("CARGO_PKG_VERSION")), ("agent", &self.health.name), ("origin", &self.health.origin)];
        encoder
            .encode_descriptor("sealtrail_build", "Version, agent and trail", None, MetricType::Info)?
            .encode_info(&labels)
    }

    /// Rows by category, and by where their fields came from.
    fn tallies(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let sources = &self.health.sources;
        if sources.is_empty() {
            return Ok(());
        }
        let sample = |mut encoder: MetricEncoder, count: u64| {
            encoder.encode_counter::<[(&str, &str); 0], u64, u64>(&count, None)
        };
        let (name, help) = ("sealtrail_source_category_rows", "Rows by category");
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for one in sources {
            for (category, count) in Category::ALL.into_iter().zip(one.tally.get().categories) {
                let labels = [("source", one.name.as_str()), ("category", category.name())];
                sample(family.encode_family(&labels)?, count)?;
            }
        }
        let (name, help) = ("sealtrail_source_field_rows", "Rows by where a field came from");
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for one in sources {
            for (field, counts) in FIELDS.into_iter().zip(one.tally.get().fields) {
                for (from, count) in From::ALL.into_iter().zip(counts) {
                    let labels = [("source", one.name.as_str()), ("field", field), ("from", from.name())];
                    sample(family.encode_family(&labels)?, count)?;
                }
            }
        }
        Ok(())
    }

    /// Each metric of a table with one sample for each of `all`: a family stands together.
    fn table<'a, T, L: EncodeLabelSet>(
        &self,
        encoder: &mut DescriptorEncoder,
        metrics: &[Metric<T>],
        all: &'a [T],
        labels: fn(&'a T) -> L,
    ) -> fmt::Result {
        for metric in metrics.iter().filter(|_| !all.is_empty()) {
            let mut family = encoder.encode_descriptor(metric.name, metric.help, None, metric.read.kind())?;
            for one in all {
                metric.read.sample(one, self, family.encode_family(&labels(one))?)?;
            }
        }
        Ok(())
    }
}

impl<T> Read<T> {
    fn kind(&self) -> MetricType {
        match self {
            Counter(_) => MetricType::Counter,
            Gauge(_) | Float(_) => MetricType::Gauge,
        }
    }

    fn sample(&self, one: &T, scrape: &Scrape, mut encoder: MetricEncoder) -> fmt::Result {
        match self {
            Counter(read) => encoder.encode_counter::<[(&str, &str); 0], u64, u64>(&get(read(one)), None),
            Gauge(read) => encoder.encode_gauge(&read(one, scrape)),
            Float(read) => encoder.encode_gauge(&read(one, scrape)),
        }
    }
}

fn get(value: &AtomicU64) -> u64 {
    value.load(Ordering::Relaxed)
}

fn flag(value: &AtomicBool) -> u64 {
    u64::from(value.load(Ordering::Relaxed))
}

#[allow(clippy::cast_precision_loss, reason = "bytes and milliseconds of this size need not be exact")]
fn number(number: u64) -> f64 {
    if number == UNKNOWN { f64::NAN } else { number as f64 }
}

#[allow(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit in the 53 bits of an f64")]
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}
