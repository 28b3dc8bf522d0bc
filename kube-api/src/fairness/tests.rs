//! What queues promise, whoever asks for what and when.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::hand::hash_of_flow;
use super::queues::{Queues, Refusal, Shape};
use super::work::Work;

const WIDE: Shape = Shape::Queue { queues: 64, hand: 6, length_max: 50 };

/// A level and what happened at it, in whole milliseconds.
struct Level {
    queues: Queues<&'static str>,
    start: Instant,
    now: u64,
    running: Vec<u64>,
    /// Whose requests began, in order.
    began: Vec<&'static str>,
}

impl Level {
    fn new(shape: Shape, limit: usize) -> Self {
        let start = Instant::now();
        let mut queues = Queues::new(shape, 0, start);
        queues.set_limit(limit, start);
        Self { queues, start, now: 0, running: Vec::new(), began: Vec::new() }
    }

    fn at(&self) -> Instant {
        self.start + Duration::from_millis(self.now)
    }

    fn arrive(&mut self, flow: &'static str, seats: usize) -> Result<u64, Refusal> {
        let work = Work { seats, ..Work::ONE };
        let arrived = self.queues.arrive(hash_of_flow("schema", flow), work, flow, self.at())?;
        if self.queues.request_mut(arrived).is_some_and(|request| request.began.is_some()) {
            self.began.push(flow);
            self.running.push(arrived);
        }
        self.dispatch();
        Ok(arrived)
    }

    fn dispatch(&mut self) {
        let began = &mut self.began;
        self.queues.dispatch(self.start + Duration::from_millis(self.now), |request| began.push(request.ticket));
        let mut running: Vec<_> = self.queues.requests().map(|(id, request)| (request.began, id)).collect();
        running.retain(|(began, _)| began.is_some());
        running.sort_unstable();
        self.running = running.into_iter().map(|(_, id)| id).collect();
        let seats: usize =
            self.queues.requests().filter(|(_, one)| one.began.is_some()).map(|(_, one)| one.work.seats_max()).sum();
        assert_eq!(seats, self.queues.seats_in_use());
    }

    /// The request that began first is done after some milliseconds.
    fn finish_one(&mut self, milliseconds: u64) -> bool {
        self.now += milliseconds;
        let Some(id) = self.running.first().copied() else { return false };
        self.queues.leave(id, self.at());
        self.dispatch();
        true
    }

    /// Takes out a request that waits.
    fn give_up(&mut self, id: u64) {
        self.queues.leave(id, self.at());
        self.dispatch();
    }
}

#[test]
fn exempt_requests_all_begin() {
    let mut level = Level::new(Shape::Exempt, 0);
    for _ in 0..100 {
        level.arrive("a", 1).unwrap();
    }
    assert_eq!((level.began.len(), level.queues.demand()), (100, 100));
}

#[test]
fn a_level_without_queues_refuses() {
    let mut level = Level::new(Shape::Reject, 2);
    assert!(level.arrive("a", 1).is_ok() && level.arrive("b", 1).is_ok());
    assert_eq!(level.arrive("c", 1), Err(Refusal::ConcurrencyLimit));
    level.finish_one(1);
    assert!(level.arrive("c", 1).is_ok());
}

#[test]
fn what_is_wider_than_the_level_gets_it_for_itself() {
    let mut level = Level::new(WIDE, 2);
    level.arrive("a", 1).unwrap();
    level.arrive("wide", 5).unwrap();
    assert_eq!(level.began, ["a"]);
    level.finish_one(1);
    assert_eq!(level.began, ["a", "wide"]);
    level.arrive("b", 1).unwrap();
    level.finish_one(1);
    assert_eq!(level.began, ["a", "wide", "b"]);
}

#[test]
fn a_full_queue_refuses_and_only_its_own_flow() {
    let mut level = Level::new(Shape::Queue { queues: 64, hand: 1, length_max: 3 }, 1);
    for _ in 0..4 {
        level.arrive("noisy", 1).unwrap();
    }
    assert_eq!(level.arrive("noisy", 1), Err(Refusal::QueueFull));
    assert!(level.arrive("quiet", 1).is_ok());
}

#[test]
fn a_noisy_flow_does_not_push_a_quiet_one_out() {
    let mut level = Level::new(Shape::Queue { queues: 64, hand: 1, length_max: 100 }, 4);
    for _ in 0..100 {
        level.arrive("noisy", 1).unwrap();
    }
    for _ in 0..10 {
        level.arrive("quiet", 1).unwrap();
        level.began.clear();
        level.finish_one(5);
        level.finish_one(5);
        assert!(level.began.contains(&"quiet"), "{:?}", level.began);
    }
}

#[test]
fn flows_share_by_seats_and_not_by_requests() {
    let mut level = Level::new(Shape::Queue { queues: 64, hand: 1, length_max: 500 }, 8);
    for _ in 0..300 {
        level.arrive("narrow", 1).unwrap();
        level.arrive("wide", 4).unwrap();
    }
    for _ in 0..200 {
        level.finish_one(3);
    }
    let count = |flow| level.began.iter().filter(|began| **began == flow).count();
    let (narrow, wide) = (count("narrow"), count("wide"));
    assert!((2..=6).contains(&(narrow / wide)), "{narrow} narrow ones and {wide} wide ones");
}

#[test]
fn seats_stay_taken_while_watchers_are_told() {
    let mut level = Level::new(WIDE, 2);
    let linger = Duration::from_millis(5);
    let now = level.at();
    let id = level.queues.arrive(1, Work { seats: 1, final_seats: 2, linger }, "a", now).unwrap();
    level.dispatch();
    level.queues.leave(id, now);
    level.queues.arrive(2, Work::ONE, "b", now).unwrap();
    level.queues.dispatch(now, |_| panic!("both seats are taken"));
    level.queues.release(2, now);
    level.dispatch();
    assert_eq!(level.began, ["a", "b"]);
}

#[test]
fn fewer_queues_and_fewer_seats_lose_nobody() {
    let mut level = Level::new(WIDE, 4);
    for flow in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        level.arrive(flow, 1).unwrap();
    }
    level.queues.reshape(Shape::Queue { queues: 1, hand: 1, length_max: 1 }, level.at());
    level.queues.set_limit(1, level.at());
    while level.finish_one(1) {}
    level.began.sort_unstable();
    assert_eq!(level.began, ["a", "b", "c", "d", "e", "f", "g", "h"]);
    assert_eq!((level.queues.demand(), level.queues.queues().count()), (0, 0));
}

#[derive(Clone, Debug)]
enum Step {
    Arrive { flow: &'static str, seats: usize },
    Finish { milliseconds: u64 },
    GiveUp { which: usize },
    Limit { seats: usize },
}

fn any_step() -> impl Strategy<Value = Step> {
    let flow = prop::sample::select(vec!["a", "b", "c", "d", "e"]);
    prop_oneof![
        4 => (flow, 1_usize..4).prop_map(|(flow, seats)| Step::Arrive { flow, seats }),
        3 => (0_u64..20).prop_map(|milliseconds| Step::Finish { milliseconds }),
        1 => (0_usize..50).prop_map(|which| Step::GiveUp { which }),
        1 => (4_usize..8).prop_map(|seats| Step::Limit { seats }),
    ]
}

proptest! {
    #[test]
    fn seats_are_never_more_than_allowed_and_every_request_ends(
        steps in prop::collection::vec(any_step(), 1..200),
        queues in 1_u32..20,
    ) {
        let hand = queues.min(3);
        let mut level = Level::new(Shape::Queue { queues, hand, length_max: 10 }, 4);
        let mut accepted = 0;
        let mut left = 0;
        for step in steps {
            let before = level.queues.seats_in_use();
            match step {
                Step::Arrive { flow, seats } => accepted += usize::from(level.arrive(flow, seats).is_ok()),
                Step::Finish { milliseconds } => left += usize::from(level.finish_one(milliseconds)),
                Step::GiveUp { which } => {
                    let waiting = level.queues.requests().filter(|(_, one)| one.began.is_none());
                    let waiting: Vec<u64> = waiting.map(|(id, _)| id).collect();
                    if let Some(id) = waiting.get(which) {
                        level.give_up(*id);
                        left += 1;
                    }
                }
                Step::Limit { seats } => {
                    level.queues.set_limit(seats, level.at());
                    level.dispatch();
                }
            }
            // A lower limit takes no seat from who has it.
            prop_assert!(level.queues.seats_in_use() <= level.queues.limit().max(before));
            let waiting = level.queues.demand() > level.queues.seats_in_use();
            prop_assert!(!waiting || level.queues.seats_in_use() + 3 > level.queues.limit(), "seats lie idle");
        }
        while level.finish_one(1) { left += 1; }
        prop_assert_eq!(left, accepted);
        prop_assert_eq!((level.queues.demand(), level.queues.queues().count()), (0, 0));
    }

    /// Every flow is served while another floods the level, if they share no queue.
    #[test]
    fn no_flow_starves(flood in 10_usize..50, took in prop::collection::vec(1_u64..50, 40), limit in 1_usize..6) {
        let shape = Shape::Queue { queues: 64, hand: 1, length_max: 500 };
        let mut level = Level::new(shape, limit);
        let flows = ["a", "b", "c", "d"];
        let hands: BTreeMap<u64, &str> = flows.iter().map(|flow| (hash_of_flow("schema", flow) % 64, *flow)).collect();
        prop_assert_eq!(hands.len(), flows.len(), "the flows of this test have queues of their own");
        for _ in 0..flood * 10 {
            level.arrive("a", 1).unwrap();
        }
        for flow in &flows[1..] {
            level.arrive(flow, 1).unwrap();
        }
        for took in took.iter().take(limit + 2 * flows.len() * limit) {
            level.finish_one(*took);
        }
        for flow in flows {
            prop_assert!(level.began.contains(&flow), "{flow} has not begun: {:?}", level.began);
        }
    }
}
