//! Every store and wrapper of this crate runs the suite.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;

use coracle_store::{Faulty, Memory, Recorded, Store, conformance};
use futures::executor::block_on;

fn check<S: Store>(fresh: impl Fn() -> S) {
    block_on(conformance::run(async || Arc::new(fresh()) as Arc<dyn Store>)).unwrap();
}

#[test]
fn memory() {
    check(Memory::default);
}

#[test]
fn a_fork() {
    check(|| Memory::default().fork());
}

#[test]
fn faulty_without_faults() {
    check(|| Faulty::new(Memory::default(), 1));
}

#[test]
fn recorded() {
    check(|| Recorded::new(Memory::default()));
}

#[test]
fn wrappers_stack() {
    let memory: fn() -> Arc<dyn Store> = || Arc::new(Memory::default());
    check(|| Recorded::new(Faulty::new(memory(), 1)));
}
