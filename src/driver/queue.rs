//! Which objects wait for a controller: each at most once, never twice at the same time, the failed ones later and later.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::time::Duration;

use coracle_controllers::Next;
use tokio::time::Instant;

/// Delay after the first failure; doubles with each. Source: client-go `DefaultControllerRateLimiter`.
const BACK_OFF_FIRST: Duration = Duration::from_millis(5);
/// Longest delay after failures.
const BACK_OFF_MAX: Duration = Duration::from_secs(1_000);

/// In each span of so long...
const PACE_SPAN: Duration = Duration::from_millis(100);
/// ...a key is worked on at most so often: an object with ten thousand pods must not be looked at for each of them.
const PACE_RUNS_MAX: u32 = 5;
/// A shorter rest is none.
const REST_MIN: Duration = Duration::from_millis(1);

/// A work queue as a value: it never waits, and time is an argument. Its hash maps are never iterated, so that a seed decides
/// everything.
#[derive(Debug)]
pub(crate) struct Queue<K> {
    ready: VecDeque<K>,
    /// Everything in `ready`, and what was woken while it was being worked on.
    dirty: HashSet<K>,
    working: HashSet<K>,
    delayed: BTreeMap<(Instant, K), ()>,
    /// The time at which each delayed key is due; the earliest wish counts.
    due: HashMap<K, Instant>,
    failures: HashMap<K, u32>,
    /// How often each key was worked on since `paced_from`.
    runs: HashMap<K, u32>,
    paced_from: Option<Instant>,
    /// Until when keys rest that cost much.
    resting: HashMap<K, Instant>,
}

impl<K> Default for Queue<K> {
    fn default() -> Self {
        Self {
            ready: VecDeque::new(),
            dirty: HashSet::new(),
            working: HashSet::new(),
            delayed: BTreeMap::new(),
            due: HashMap::new(),
            failures: HashMap::new(),
            runs: HashMap::new(),
            paced_from: None,
            resting: HashMap::new(),
        }
    }
}

impl<K: Ord + Hash + Clone> Queue<K> {
    /// Wakes a key.
    pub(crate) fn add(&mut self, key: K) {
        if self.dirty.insert(key.clone()) && !self.working.contains(&key) {
            self.ready.push_back(key);
        }
    }

    /// Wakes a key at a time, unless it is to be woken before anyway.
    pub(crate) fn add_at(&mut self, key: K, at: Instant) {
        match self.due.get(&key) {
            Some(earlier) if *earlier <= at => return,
            Some(later) => {
                self.delayed.remove(&(*later, key.clone()));
            }
            None => {}
        }
        self.due.insert(key.clone(), at);
        self.delayed.insert((at, key), ());
    }

    /// The next key to work on, if one is ready. [`Queue::done`] must follow.
    pub(crate) fn take(&mut self, now: Instant) -> Option<K> {
        self.wake_due(now);
        loop {
            let key = self.ready.pop_front()?;
            self.dirty.remove(&key);
            match self.rest(&key, now) {
                Some(until) => self.add_at(key, until),
                None => {
                    self.working.insert(key.clone());
                    return Some(key);
                }
            }
        }
    }

    /// Until when a key has to rest because it costs much, or was worked on often lately. Counts this time if it need not.
    fn rest(&mut self, key: &K, now: Instant) -> Option<Instant> {
        let from = match self.paced_from {
            Some(from) if now < from + PACE_SPAN => from,
            _ => {
                self.runs.clear();
                self.resting.retain(|_, until| *until > now);
                self.paced_from = Some(now);
                now
            }
        };
        if let Some(until) = self.resting.get(key).filter(|until| **until > now) {
            return Some(*until);
        }
        let runs = self.runs.entry(key.clone()).or_default();
        if *runs >= PACE_RUNS_MAX {
            return Some(from + PACE_SPAN);
        }
        *runs += 1;
        None
    }

    /// The work on a key is over. A failed key comes back later and later, a good one when asked.
    pub(crate) fn done(&mut self, key: &K, outcome: Outcome, now: Instant) {
        self.working.remove(key);
        if self.dirty.contains(key) {
            self.ready.push_back(key.clone());
        }
        match outcome {
            Outcome::Good(Next { after, rest }) => {
                self.failures.remove(key);
                if rest >= REST_MIN {
                    self.resting.insert(key.clone(), now + rest);
                }
                if let Some(after) = after {
                    self.add_at(key.clone(), now + after);
                }
            }
            Outcome::Failed => {
                let failures = self.failures.entry(key.clone()).or_default();
                let delay = BACK_OFF_FIRST.saturating_mul(1 << (*failures).min(20)).min(BACK_OFF_MAX);
                *failures = failures.saturating_add(1);
                self.add_at(key.clone(), now + delay);
            }
        }
    }

    /// When the next delayed key is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.delayed.keys().next().map(|(at, _)| *at)
    }

    /// How many keys wait now.
    pub(crate) fn len(&self) -> usize {
        self.ready.len()
    }

    fn wake_due(&mut self, now: Instant) {
        while let Some(entry) = self.delayed.first_entry().filter(|entry| entry.key().0 <= now) {
            let (_, key) = entry.remove_entry().0;
            self.due.remove(&key);
            self.add(key);
        }
    }
}

/// How work on a key ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It went well; what is next.
    Good(Next),
    /// It did not; try again later.
    Failed,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_waits_once_and_is_never_worked_on_twice() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.add("a");
        queue.add("a");
        queue.add("b");
        assert_eq!(queue.take(now), Some("a"));
        queue.add("a");
        assert_eq!(queue.take(now), Some("b"));
        assert_eq!(queue.take(now), None, "a is still being worked on");
        queue.done(&"a", Outcome::Good(Next::on_change()), now);
        assert_eq!(queue.take(now), Some("a"));
        queue.done(&"a", Outcome::Good(Next::on_change()), now);
        queue.done(&"b", Outcome::Good(Next::on_change()), now);
        assert_eq!((queue.take(now), queue.next_due(), queue.len()), (None, None, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn failures_double_the_delay_and_success_forgets_them() {
        let (mut queue, start) = (Queue::default(), Instant::now());
        let mut now = start;
        let mut fail = |queue: &mut Queue<&str>, delay: u64| {
            queue.add("a");
            assert_eq!(queue.take(now), Some("a"));
            queue.done(&"a", Outcome::Failed, now);
            assert_eq!(queue.next_due(), Some(at(now, delay)));
            now = at(now, delay);
        };
        fail(&mut queue, 5);
        fail(&mut queue, 10);
        fail(&mut queue, 20);
        let later = at(start, 35);
        assert_eq!(queue.take(later), Some("a"));
        queue.done(&"a", Outcome::Good(Next::after(Duration::from_secs(1))), later);
        assert_eq!(queue.next_due(), Some(at(later, 1_000)));
        assert_eq!(queue.take(at(later, 1_000)), Some("a"));
        queue.done(&"a", Outcome::Failed, later);
        assert_eq!(queue.next_due(), Some(at(later, 5)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_is_woken_all_the_time_rests_now_and_then() {
        let (mut queue, start) = (Queue::default(), Instant::now());
        for _ in 0..PACE_RUNS_MAX {
            queue.add("a");
            assert_eq!(queue.take(start), Some("a"));
            queue.done(&"a", Outcome::Good(Next::on_change()), start);
        }
        queue.add("a");
        queue.add("b");
        assert_eq!(queue.take(start), Some("b"), "others do not wait for it");
        assert_eq!(queue.take(start), None);
        assert_eq!(queue.next_due(), Some(start + PACE_SPAN));
        assert_eq!(queue.take(start + PACE_SPAN), Some("a"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_costs_much_rests() {
        let (mut queue, start) = (Queue::default(), Instant::now());
        queue.add("a");
        assert_eq!(queue.take(start), Some("a"));
        let rest = Duration::from_millis(40);
        queue.done(&"a", Outcome::Good(Next { rest, ..Next::default() }), start);
        queue.add("a");
        assert_eq!((queue.take(at(start, 39)), queue.next_due()), (None, Some(at(start, 40))));
        assert_eq!(queue.take(at(start, 40)), Some("a"));
    }

    #[tokio::test(start_paused = true)]
    async fn the_earliest_wish_to_be_woken_counts() {
        let (mut queue, start) = (Queue::default(), Instant::now());
        queue.add_at("a", at(start, 50));
        queue.add_at("a", at(start, 20));
        queue.add_at("a", at(start, 90));
        assert_eq!(queue.next_due(), Some(at(start, 20)));
        assert_eq!(queue.take(at(start, 19)), None);
        assert_eq!(queue.take(at(start, 20)), Some("a"));
        assert_eq!(queue.next_due(), None);
    }
}
