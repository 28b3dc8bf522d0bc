//! When refused clients should come back: later the more are refused. Source: `flowcontrol.DroppedRequestsTracker`.

use std::collections::VecDeque;

const SECONDS_MAX: u64 = 32;

/// How many requests of a level were refused, second by second.
#[derive(Debug)]
pub(super) struct RetryAfter {
    seconds: u64,
    raised_at: Option<u64>,
    /// Past seconds, and how many were refused in each.
    history: VecDeque<(u64, u64)>,
    current: (u64, u64),
}

impl Default for RetryAfter {
    fn default() -> Self {
        Self { seconds: 1, raised_at: None, history: VecDeque::new(), current: (0, 0) }
    }
}

impl RetryAfter {
    /// Counts a request that is refused in the second `now` (since any time); tells after how many seconds to come back.
    pub(super) fn refuse(&mut self, now: u64) -> u64 {
        if self.current.0 == now {
            self.current.1 += 1;
            return self.seconds;
        }
        self.history.push_back(self.current);
        let kept = (2 * self.seconds).min(SECONDS_MAX);
        while self.history.front().is_some_and(|(second, _)| now.saturating_sub(*second) > kept) {
            self.history.pop_front();
        }
        self.current = (now, 1);
        self.adapt(now);
        self.seconds
    }

    /// Twice as long if three a second are refused, at most once in that time; shorter by one if less than one is.
    fn adapt(&mut self, now: u64) {
        let is_recent = |second: u64| second < now && now - second <= self.seconds;
        let refused: u64 = self.history.iter().filter(|(second, _)| is_recent(*second)).map(|(_, count)| count).sum();
        let may_raise = self.raised_at.is_none_or(|raised| now.saturating_sub(raised) >= self.seconds);
        if may_raise && refused >= 3 * self.seconds {
            self.seconds = (2 * self.seconds).min(SECONDS_MAX);
            self.raised_at = Some(now);
        } else if refused < self.seconds {
            self.seconds = (self.seconds - 1).max(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `refused`: how many in each second, from second 1 on; `expected`: what the last of each is told.
    fn check(refused: &[u64], expected: &[u64]) {
        let mut tracker = RetryAfter::default();
        let told =
            (1..).zip(refused).map(|(second, count)| (0..*count).map(|_| tracker.refuse(second)).last().unwrap_or(0));
        assert_eq!(told.collect::<Vec<_>>(), expected, "{refused:?}");
    }

    #[test]
    fn the_more_are_refused_the_later_they_come_back() {
        check(&[1, 1, 1, 1], &[1, 1, 1, 1]);
        check(&[3, 1], &[1, 2]);
        check(&[9, 9, 9, 9, 9, 9, 9, 9, 9], &[1, 2, 2, 4, 4, 4, 4, 8, 8]);
        check(
            &[99; 70],
            &std::array::from_fn::<u64, 70, _>(|second| match second {
                0 => 1,
                1..3 => 2,
                3..7 => 4,
                7..15 => 8,
                15..31 => 16,
                _ => 32,
            }),
        );
        check(&[9, 9, 0, 0, 0, 1, 1], &[1, 2, 0, 0, 0, 1, 1]);
    }
}
