//! Completion indexes, and sets of them as a status tells them: `0,2,5-9`. Source: `indexed_job_utils.go`.

use std::fmt;

use k8s_openapi::api::core::v1::Pod;

/// The annotation, and the label, that tells a pod's index.
pub(super) const INDEX: &str = "batch.kubernetes.io/job-completion-index";

/// The index a pod works on, if it tells a good one.
pub(super) fn index_of(pod: &Pod) -> Option<i32> {
    let index: i32 = pod.metadata.annotations.as_ref()?.get(INDEX)?.parse().ok()?;
    (index >= 0).then_some(index)
}

/// A set of indexes as closed intervals, in order, none touching the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Indexes(Vec<(i32, i32)>);

impl Indexes {
    /// Reads a set, without what is not below `completions`. What is no interval is left out.
    pub(super) fn parse(text: &str, completions: i32) -> Self {
        let interval = |part: &str| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last): (i32, i32) = (first.parse().ok()?, last.parse().ok()?);
            (first < completions).then_some((first, last.min(completions - 1)))
        };
        Self::of(text.split(',').filter_map(interval).collect())
    }

    fn of(mut intervals: Vec<(i32, i32)>) -> Self {
        intervals.sort_unstable();
        let mut merged: Vec<(i32, i32)> = Vec::new();
        for (first, last) in intervals {
            match merged.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
                _ => merged.push((first, last)),
            }
        }
        Self(merged)
    }

    /// These and those.
    pub(super) fn and(&self, other: &Self) -> Self {
        Self::of(self.0.iter().chain(&other.0).copied().collect())
    }

    /// How many there are.
    pub(super) fn total(&self) -> i32 {
        self.0.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// Whether one is among them.
    pub(super) fn contains(&self, index: i32) -> bool {
        let at = self.0.partition_point(|(_, last)| *last < index);
        self.0.get(at).is_some_and(|(first, _)| *first <= index)
    }

    /// How many are in both.
    pub(super) fn in_common(&self, other: &Self) -> i32 {
        let overlap = |(first, last): &(i32, i32)| {
            let parts = other.0.iter().map(move |(from, to)| to.min(last) - from.max(first) + 1);
            parts.filter(|size| *size > 0).sum::<i32>()
        };
        self.0.iter().map(overlap).sum()
    }

    /// The `count` smallest that are missing below `completions`.
    pub(super) fn missing(&self, completions: i32, count: usize) -> Vec<i32> {
        let ends = self.0.iter().map(|(first, last)| (*first, last.saturating_add(1)));
        let starts = std::iter::once(0).chain(ends.clone().map(|(_, next)| next));
        let gaps = starts.zip(ends.map(|(first, _)| first).chain([completions]));
        gaps.flat_map(|(start, end)| start..end.min(completions)).take(count).collect()
    }
}

impl FromIterator<i32> for Indexes {
    fn from_iter<I: IntoIterator<Item = i32>>(indexes: I) -> Self {
        Self::of(indexes.into_iter().map(|index| (index, index)).collect())
    }
}

impl fmt::Display for Indexes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (first, last)) in self.0.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            match last - first {
                0 => write!(formatter, "{comma}{first}")?,
                1 => write!(formatter, "{comma}{first},{last}")?,
                _ => write!(formatter, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::Indexes;

    #[test]
    fn sets_are_written_as_upstream_writes_them() {
        for (text, completions, written, total) in [
            ("", 5, "", 0),
            ("0", 5, "0", 1),
            ("0,1", 5, "0,1", 2),
            ("0,1,2", 5, "0-2", 3),
            ("0-2,3,7", 10, "0-3,7", 5),
            ("0,2-7,9", 5, "0,2-4", 4),
            ("0,x,3-y,4", 5, "0,4", 2),
        ] {
            let indexes = Indexes::parse(text, completions);
            assert_eq!((indexes.to_string(), indexes.total()), (written.to_owned(), total), "{text}");
        }
    }

    proptest! {
        #[test]
        fn intervals_are_a_set(
            one in proptest::collection::btree_set(0..20, 0..12),
            other in proptest::collection::btree_set(0..20, 0..12),
        ) {
            let (a, b): (Indexes, Indexes) = (one.iter().copied().collect(), other.iter().copied().collect());
            let union: BTreeSet<i32> = one.union(&other).copied().collect();
            prop_assert_eq!(a.and(&b), union.iter().copied().collect());
            prop_assert_eq!(Indexes::parse(&a.to_string(), 20), a.clone());
            prop_assert_eq!(a.total() as usize, one.len());
            prop_assert_eq!(a.in_common(&b) as usize, one.intersection(&other).count());
            prop_assert!((0..20).all(|index| a.contains(index) == one.contains(&index)));
            let missing: Vec<i32> = (0..15).filter(|index| !one.contains(index)).take(4).collect();
            prop_assert_eq!(a.missing(15, 4), missing);
        }
    }
}
