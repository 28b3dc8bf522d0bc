//! Time, ids and randomness as things that are given, so that a whole cluster can run in virtual time from one seed.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// Says what time it is in the cluster.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;

    /// Now, as most fields spell it: whole seconds.
    fn time(&self) -> Time {
        whole_seconds(self.now())
    }

    /// Now, in microseconds.
    fn micro_time(&self) -> MicroTime {
        MicroTime(self.now())
    }
}

/// A timestamp cut to whole seconds, which is all that `Time` carries on the wire.
#[must_use]
pub fn whole_seconds(at: Timestamp) -> Time {
    Time(Timestamp::from_second(at.as_second()).unwrap_or(at))
}

/// The cluster's source of ids and randomness: the same seed gives the same sequence.
#[derive(Debug)]
pub struct Entropy(Mutex<SmallRng>);

impl Entropy {
    /// A sequence from a seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Mutex::new(SmallRng::seed_from_u64(seed)))
    }

    /// A number.
    pub fn next(&self) -> u64 {
        self.with(|random| random.random())
    }

    /// A number below `bound`; zero if `bound` is zero.
    pub fn below(&self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.with(|random| random.random_range(0..bound)) }
    }

    /// A version 4 UUID, as `metadata.uid` spells it.
    pub fn uid(&self) -> String {
        let bits = self.with(|random| random.random::<u128>());
        let bits = (bits & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
        let mut text = String::with_capacity(36);
        for (index, shift) in (0..32).rev().enumerate() {
            if matches!(index, 8 | 12 | 16 | 20) {
                text.push('-');
            }
            let _infallible = write!(text, "{:x}", (bits >> (shift * 4)) & 0xf);
        }
        text
    }

    /// What is appended to `generateName`: `length` characters that spell no words. Source: apimachinery `rand.SafeEncodeString`.
    pub fn suffix(&self, length: usize) -> String {
        const ALPHABET: [char; 27] = [
            'b', 'c', 'd', 'f', 'g', 'h', 'j', 'k', 'l', 'm', 'n', 'p', 'q', 'r', 's', 't', 'v', 'w', 'x', 'z', '2',
            '4', '5', '6', '7', '8', '9',
        ];
        self.with(|random| (0..length).filter_map(|_| ALPHABET.get(random.random_range(0..ALPHABET.len()))).collect())
    }

    fn with<T>(&self, draw: impl FnOnce(&mut SmallRng) -> T) -> T {
        draw(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::Entropy;

    #[test]
    fn the_same_seed_gives_the_same_ids() {
        let (one, two) = (Entropy::seeded(7), Entropy::seeded(7));
        assert_eq!(one.uid(), two.uid());
        assert_eq!(one.suffix(5), two.suffix(5));
        assert_ne!(one.uid(), one.uid());
    }

    #[test]
    fn a_uid_is_a_version_4_uuid() {
        let uid = Entropy::seeded(1).uid();
        assert_eq!(uid.len(), 36);
        assert_eq!(uid.as_bytes()[14], b'4');
        assert!(b"89ab".contains(&uid.as_bytes()[19]), "{uid}");
    }
}
