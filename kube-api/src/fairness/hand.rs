//! Shuffle sharding: a flow is dealt a few of many queues, so two flows seldom share all of theirs. Source: `shufflesharding`,
//! `flowcontrol.hashFlowID`.

use ring::digest::{Context, SHA256};

/// The most queues of a hand. Source: the largest hand that passes validation.
const HAND_MAX: usize = 15;

/// The hash of a flow: the FlowSchema it matched, and whom or where it is about.
pub(super) fn hash_of_flow(schema: &str, distinguisher: &str) -> u64 {
    let mut hash = Context::new(&SHA256);
    for part in [schema.as_bytes(), &[0], distinguisher.as_bytes()] {
        hash.update(part);
    }
    let digest = hash.finish();
    digest.as_ref().first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
}

/// Deals `hand` different cards of a deck of `deck`, the same ones for the same hash.
pub(super) fn deal(hash: u64, deck: u32, hand: u32) -> impl Iterator<Item = u32> + Clone {
    let mut cards = [0_u32; HAND_MAX];
    let size = (hand.min(deck) as usize).min(HAND_MAX);
    let mut rest = hash;
    for dealt in 0..size {
        // How many cards are left; at least one, since the hand is no larger than the deck.
        let left = u64::from(deck) - dealt as u64;
        let mut card = (rest % left) as u32;
        rest /= left;
        // The draw is a position among the cards that are left; those dealt before it shift it.
        let mut before = cards;
        let before = before.get_mut(..dealt).unwrap_or_default();
        before.sort_unstable();
        for taken in before.iter() {
            if card >= *taken {
                card += 1;
            }
        }
        if let Some(place) = cards.get_mut(dealt) {
            *place = card;
        }
    }
    cards.into_iter().take(size)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_small_deck_is_dealt_in_every_order() {
        let hands: BTreeSet<Vec<u32>> = (0..6).map(|hash| deal(hash, 3, 3).collect()).collect();
        let expected = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        assert_eq!(hands, expected.map(Vec::from).into());
    }

    #[test]
    fn flows_have_hashes_of_their_own() {
        let hash = hash_of_flow("global-default", "alice");
        assert_eq!(hash, hash_of_flow("global-default", "alice"));
        assert_ne!(hash, hash_of_flow("global-default", "bob"));
        assert_ne!(hash_of_flow("a", "bc"), hash_of_flow("ab", "c"), "where the name ends counts");
    }

    proptest! {
        #[test]
        fn hands_have_different_cards_of_the_deck(hash: u64, deck in 1_u32..500, hand in 1_u32..10) {
            let dealt: Vec<u32> = deal(hash, deck, hand).collect();
            prop_assert_eq!(dealt.len(), hand.min(deck) as usize);
            prop_assert!(dealt.iter().all(|card| *card < deck));
            prop_assert_eq!(dealt.iter().collect::<BTreeSet<_>>().len(), dealt.len());
        }
    }
}
