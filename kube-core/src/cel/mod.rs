//! The Common Expression Language as Kubernetes speaks it: rules of custom resources, policies, match conditions.
//!
//! ```
//! use coracle_core::cel::{Environment, PER_CALL_LIMIT, Type, Value, Variable, compile};
//!
//! let environment = Environment::new().with("replicas", Variable::Of(Type::Int));
//! let program = compile("replicas > 1 && replicas < 10", &environment).unwrap();
//! let outcome = program.evaluate(&[Some(Value::Int(3))], PER_CALL_LIMIT, None);
//! assert_eq!(outcome.result, Ok(Value::Bool(true)));
//!
//! let wrong = compile("replicas == 'one'", &environment).unwrap_err();
//! assert!(wrong.starts_with("ERROR: <input>:1:10: found no matching overload for '_==_' applied to '(int, string)'"));
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | `syntax` | text to tree |
//! | [`Type`], [`Shape`] | what the checker knows of values; what JSON looks like, with bounds |
//! | `check` | names and types, in cel-go's words |
//! | `estimate`, `cost` | what an expression costs at most; the formulas |
//! | `eval`, `meter` | evaluation, metered: no expression runs longer than its budget |
//! | [`Value`] | values over borrowed JSON |
//! | `library` | all functions, as one table |
//! | [`request`] | what expressions about requests may name |
//! | [`Environment`], [`compile`], [`Program`] | the way in |
//!
//! An expression cannot end the process: trees are flat enough to recurse over, patterns run in linear time, and whatever is made
//! is paid for before it is made.

mod check;
mod cost;
pub(crate) mod declared;
mod error;
mod estimate;
mod eval;
mod library;
mod meter;
mod program;
pub mod request;
mod shape;
mod syntax;
#[cfg(test)]
mod tests;
mod tree;
mod types;
mod value;

pub use error::Error;
pub use library::{Attributes, Authorizer, Check, Decision, Opaque, Who};
pub use program::{Environment, Outcome, PER_CALL_LIMIT, Program, Variable, compile};
pub(crate) use shape::REQUEST_BYTES_MAX;
pub use shape::{Field, Form, ListKind, Shape, escape};
pub use syntax::is_keyword;
pub use types::Type;
pub use value::{Fields, Key, List, Map, Text, Value};
