//! How the seats of the server are divided among priority levels, and how levels lend to each other what they do not need.
//!
//! Source: `flowcontrol.finishQueueSetReconfigsLocked`, `updateBorrowingLocked`, `computeConcurrencyAllocation`.

/// A target is at least this, so that even who needs nothing has a ratio to grow by.
const TARGET_MIN: f64 = 0.001;

/// What a level says about its part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shares {
    /// Of the sum of all levels' shares.
    pub(super) shares: u32,
    /// Of its seats it may lend so many percent.
    pub(super) lendable_percent: u32,
    /// It may borrow as many as so many percent of its seats; any number if nothing is said.
    pub(super) borrowing_percent: Option<u32>,
}

/// How many seats a level may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bounds {
    /// By its shares.
    pub(super) nominal: usize,
    /// If others need what it may lend.
    pub(super) min: usize,
    /// If others need nothing.
    pub(super) max: usize,
}

/// Divides the seats of a server. Rounded up, so all together may have a few more.
pub(super) fn divide(seats: usize, levels: &[Shares]) -> Vec<Bounds> {
    let sum: u64 = levels.iter().map(|level| u64::from(level.shares)).sum();
    let bounds = |level: &Shares| {
        let nominal = (seats as u64 * u64::from(level.shares)).div_ceil(sum.max(1)) as usize;
        let percent = |percent: u32| (nominal as f64 * f64::from(percent) / 100.0).round() as usize;
        let lendable = percent(level.lendable_percent).min(nominal);
        let max = nominal.saturating_add(level.borrowing_percent.map_or(seats, percent));
        Bounds { nominal, min: nominal - lendable, max }
    };
    levels.iter().map(bounds).collect()
}

/// What a level needed lately.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    pub(super) bounds: Bounds,
    pub(super) is_exempt: bool,
    /// The most seats it could have used at a time.
    pub(super) high: usize,
    /// What it usually could have used.
    pub(super) smoothed: f64,
}

impl Claim {
    /// What the others may not borrow.
    fn floor(&self) -> usize {
        let needed = if self.is_exempt { self.high } else { self.high.min(self.bounds.nominal) };
        self.bounds.min.max(needed)
    }

    fn target(&self) -> f64 {
        self.smoothed.max(self.floor() as f64)
    }
}

/// How many seats each level has now.
pub(super) fn balance(claims: &[Claim]) -> Vec<usize> {
    let all: usize = claims.iter().map(|claim| claim.bounds.nominal).sum();
    let (exempt, limited): (Vec<&Claim>, Vec<&Claim>) = claims.iter().partition(|claim| claim.is_exempt);
    let left = all.saturating_sub(exempt.iter().map(|claim| claim.floor()).sum());
    let mins: usize = limited.iter().map(|claim| claim.bounds.min).sum();
    let floors: usize = limited.iter().map(|claim| claim.floor()).sum();
    let seats: Box<dyn Fn(&Claim) -> usize> = if left <= mins {
        Box::new(|claim| claim.bounds.min)
    } else if left <= floors {
        let part = (left - mins) as f64 / (floors - mins) as f64;
        Box::new(move |claim| claim.bounds.min + ((claim.floor() - claim.bounds.min) as f64 * part).round() as usize)
    } else {
        let ratio = fair_ratio(all as f64, &limited);
        Box::new(move |claim| allotted(claim, ratio).round() as usize)
    };
    claims.iter().map(|claim| if claim.is_exempt { claim.floor() } else { seats(claim) }).collect()
}

/// What a level has if each has so much of its target, within its bounds.
fn allotted(claim: &Claim, ratio: f64) -> f64 {
    let bounded = (ratio * claim.target().max(TARGET_MIN)).min(claim.bounds.max as f64);
    bounded.max(claim.floor() as f64)
}

/// The one ratio at which all levels together have `sum`. What they have grows with the ratio, in straight lines between
/// the ratios at which a level reaches one of its bounds.
fn fair_ratio(sum: f64, claims: &[&Claim]) -> f64 {
    let together = |ratio: f64| claims.iter().map(|claim| allotted(claim, ratio)).sum::<f64>();
    let bounds = claims.iter().flat_map(|claim| {
        let target = claim.target().max(TARGET_MIN);
        [claim.floor() as f64 / target, claim.bounds.max as f64 / target]
    });
    let mut bends: Vec<f64> = bounds.collect();
    bends.sort_by(f64::total_cmp);
    let (mut before, mut below) = (0.0, together(0.0));
    for bend in bends {
        let reached = together(bend);
        if reached >= sum {
            let rise = reached - below;
            return if rise > 0.0 { before + (bend - before) * (sum - below).max(0.0) / rise } else { bend };
        }
        (before, below) = (bend, reached);
    }
    // Everybody has all that is allowed.
    f64::INFINITY
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shares(shares: u32, lendable_percent: u32) -> Shares {
        Shares { shares, lendable_percent, borrowing_percent: None }
    }

    #[test]
    fn a_stock_server_has_upstream_s_limits() {
        // catch-all, exempt, global-default, leader-election, node-high, system, workload-high, workload-low
        let levels = [(5, 0), (0, 0), (20, 50), (10, 0), (40, 25), (30, 33), (40, 50), (100, 90)];
        let divided = divide(600, &levels.map(|(count, lendable)| shares(count, lendable)));
        let told = divided.iter().map(|bounds| (bounds.nominal, bounds.min, bounds.max));
        let expected = [
            (13, 13, 613),
            (0, 0, 600),
            (49, 24, 649),
            (25, 25, 625),
            (98, 73, 698),
            (74, 50, 674),
            (98, 49, 698),
            (245, 24, 845),
        ];
        assert_eq!(told.collect::<Vec<_>>(), expected);
    }

    fn claim(nominal: usize, min: usize, high: usize) -> Claim {
        let bounds = Bounds { nominal, min, max: nominal + 100 };
        Claim { bounds, is_exempt: false, high, smoothed: high as f64 }
    }

    fn exempt(high: usize) -> Claim {
        let bounds = Bounds { nominal: 0, min: 0, max: 100 };
        Claim { bounds, is_exempt: true, high, smoothed: high as f64 }
    }

    fn check(claims: &[Claim], expected: &[usize]) {
        assert_eq!(balance(claims), expected, "{claims:?}");
    }

    #[test]
    fn idle_levels_lend_to_busy_ones() {
        check(&[claim(50, 50, 0), claim(50, 50, 200)], &[50, 50]);
        check(&[claim(50, 10, 0), claim(50, 50, 200)], &[10, 90]);
        check(&[claim(50, 10, 30), claim(50, 10, 200)], &[30, 70]);
        check(&[claim(50, 10, 200), claim(50, 10, 200)], &[50, 50]);
        check(&[claim(50, 10, 0), claim(50, 10, 0)], &[50, 50]);
        let careful = Claim { bounds: Bounds { nominal: 50, min: 10, max: 60 }, ..claim(50, 10, 200) };
        check(&[claim(50, 10, 0), careful], &[40, 60]);
    }

    #[test]
    fn exempt_ones_take_from_what_may_be_lent() {
        check(&[exempt(20), claim(50, 10, 50), claim(50, 10, 50)], &[20, 40, 40]);
        check(&[exempt(90), claim(50, 10, 50), claim(50, 10, 50)], &[90, 10, 10]);
    }

    fn any_claim() -> impl Strategy<Value = Claim> {
        (0_usize..200, 0_usize..=100, 0_usize..300, 0_usize..400, 0.0..400.0).prop_map(
            |(nominal, lendable, more, high, smoothed)| {
                let bounds = Bounds { nominal, min: nominal - nominal * lendable / 100, max: nominal + more };
                Claim { bounds, is_exempt: false, high, smoothed }
            },
        )
    }

    proptest! {
        #[test]
        fn seats_are_within_bounds_and_no_more_than_there_are(claims in prop::collection::vec(any_claim(), 1..12)) {
            let seats = balance(&claims);
            for (claim, seats) in claims.iter().zip(&seats) {
                prop_assert!((claim.bounds.min..=claim.bounds.max).contains(seats), "{claim:?} has {seats}");
                prop_assert!(*seats >= claim.floor(), "{claim:?} has {seats}");
            }
            let all: usize = claims.iter().map(|claim| claim.bounds.nominal).sum();
            let sum: usize = seats.iter().sum();
            prop_assert!(sum <= all + claims.len(), "{sum} of {all}");
        }
    }
}
