//! How patient couriers are.

use std::time::Duration;

/// The waits of a courier.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Before the first further attempt.
    pub first: Duration,
    /// Between attempts at most: it doubles up to here.
    pub most: Duration,
    /// After a refusal that will not pass by itself: mended credentials work again without a restart.
    pub stopped: Duration,
    /// The longest `Retry-After` that is obeyed; a day's wait would be a dead destination.
    pub retry_after_max: Duration,
    /// At the end, for a request that is on its way.
    pub grace: Duration,
    /// How often dead letters are looked at for orders.
    pub letters: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Pace {
            first: Duration::from_millis(200),
            most: Duration::from_secs(60),
            stopped: Duration::from_secs(60),
            retry_after_max: Duration::from_secs(600),
            grace: Duration::from_secs(3),
            letters: Duration::from_secs(2),
        }
    }
}

/// The waits between the attempts at one batch.
#[derive(Debug)]
pub(crate) struct Backoff {
    pace: Pace,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(pace: Pace) -> Self {
        Backoff { pace, next: pace.first }
    }

    /// After something that may pass. What the far side asks for counts when it is longer than nothing.
    pub(crate) fn later(&mut self, after: Option<Duration>) -> Duration {
        let wait = jittered(self.next);
        self.next = (self.next * 2).min(self.pace.most);
        match after {
            // Never earlier than asked for; a little later, so that many agents do not come back at once.
            Some(asked) => asked.min(self.pace.retry_after_max) + wait.min(self.pace.first),
            None => wait,
        }
    }

    /// After something that will not pass by itself.
    pub(crate) fn stopped(&self) -> Duration {
        jittered(self.pace.stopped)
    }
}

/// Between half of it and all of it.
fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_most_and_vary() {
        let mut backoff = Backoff::new(Pace::default());
        let waits: Vec<Duration> = (0..12).map(|_| backoff.later(None)).collect();
        assert!(waits[0] >= Duration::from_millis(100) && waits[0] <= Duration::from_millis(200));
        assert!(waits[11] >= Duration::from_secs(30) && waits[11] <= Duration::from_secs(60));
    }

    #[test]
    fn retry_after_is_obeyed_up_to_its_bound() {
        let mut backoff = Backoff::new(Pace::default());
        let wait = backoff.later(Some(Duration::from_secs(5)));
        assert!(wait >= Duration::from_secs(5) && wait <= Duration::from_millis(5200));
        assert!(backoff.later(Some(Duration::from_secs(86_400))) <= Duration::from_millis(600_200));
    }
}
