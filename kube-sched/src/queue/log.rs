//! The changes since the oldest pod in flight was popped.

use std::collections::{BTreeMap, VecDeque};

use crate::snapshot::Change;

/// More changes than these are not kept; pods in flight for longer count as helped.
const CHANGES_MAX: usize = 10_000;

/// Changes by position, kept as long as someone in flight may ask about them.
#[derive(Debug, Default)]
pub(super) struct ChangeLog {
    changes: VecDeque<Change>,
    /// Position of the first kept change.
    first: u64,
    /// How many pods started at each position.
    readers: BTreeMap<u64, usize>,
}

impl ChangeLog {
    /// Someone starts here.
    pub(super) fn enter(&mut self) -> u64 {
        let position = self.first + self.changes.len() as u64;
        *self.readers.entry(position).or_default() += 1;
        position
    }

    /// Someone who started there has no more questions.
    pub(super) fn leave(&mut self, position: u64) {
        if let Some(count) = self.readers.get_mut(&position) {
            *count -= 1;
            if *count == 0 {
                self.readers.remove(&position);
            }
        }
        let oldest = self.readers.keys().next().copied();
        while self.changes.front().is_some() && oldest.is_none_or(|oldest| oldest > self.first) {
            self.changes.pop_front();
            self.first += 1;
        }
    }

    pub(super) fn append(&mut self, change: &Change) {
        if self.readers.is_empty() {
            return;
        }
        if self.changes.len() == CHANGES_MAX {
            self.changes.pop_front();
            self.first += 1;
        }
        self.changes.push_back(change.clone());
    }

    /// Whether any change since a position is of interest; yes if they are not all kept.
    pub(super) fn any_since(&self, position: u64, interesting: impl Fn(&Change) -> bool) -> bool {
        let Some(skipped) = position.checked_sub(self.first) else { return true };
        self.changes.iter().skip(usize::try_from(skipped).unwrap_or(usize::MAX)).any(interesting)
    }

    /// How many are in flight.
    pub(super) fn readers(&self) -> usize {
        self.readers.values().sum()
    }
}
