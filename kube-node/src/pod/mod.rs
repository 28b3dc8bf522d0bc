//! A pod's life without I/O: what is wanted ([`Member`]), what is known ([`PodObservation`]), what to do next ([`step()`]), what
//! came of it ([`Outcome`]), and how it looks from outside ([`status`]).
//!
//! ```text
//! loop { step(pod, seen, now) -> actions ──► seen.begin(action) ──► (someone acts) ──► seen.apply(outcome) }
//! ```

pub mod admission;
pub mod back_off;
pub mod conditions;
mod ending;
pub mod event;
pub mod field;
pub mod member;
pub mod observation;
pub mod outcome;
pub mod phase;
pub mod resize;
pub mod restart;
pub mod span;
pub mod status;
pub mod step;
pub mod termination;

pub use back_off::BackOff;
pub use event::Tell;
pub use member::{Member, Role, members};
pub use observation::{ContainerObservation, Life, PodObservation};
pub use outcome::Outcome;
pub use step::{Action, Step, step};

#[cfg(test)]
mod tests;
