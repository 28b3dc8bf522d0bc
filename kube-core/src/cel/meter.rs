//! What evaluation costs, in upstream's units, and where it must stop.

use super::Error;

/// Counts the cost of one evaluation.
#[derive(Debug)]
pub(super) struct Meter {
    cost: u64,
    limit: u64,
    ticks: u64,
}

/// How many small steps inside of one operation make one unit. Upstream counts none of them.
const TICKS_PER_UNIT: u64 = 4;

impl Meter {
    pub(super) const fn new(limit: u64) -> Self {
        Self { cost: 0, limit, ticks: 0 }
    }

    pub(super) const fn cost(&self) -> u64 {
        self.cost
    }

    pub(super) fn charge(&mut self, units: u64) -> Result<(), Error> {
        self.cost = self.cost.saturating_add(units);
        if self.cost > self.limit { Err(Error::TooExpensive) } else { Ok(()) }
    }

    /// Counts a small step inside of an operation: whether there may be another.
    pub(super) fn tick(&mut self) -> bool {
        self.ticks += 1;
        if self.ticks.is_multiple_of(TICKS_PER_UNIT) {
            self.cost = self.cost.saturating_add(1);
        }
        self.cost <= self.limit
    }

    /// Refuses to make what would cost more than is left: so many bytes, at ten per unit.
    pub(super) fn room(&self, bytes: usize) -> Result<(), Error> {
        let units = bytes as u64 / 10;
        if self.cost.saturating_add(units) > self.limit { Err(Error::TooExpensive) } else { Ok(()) }
    }
}
