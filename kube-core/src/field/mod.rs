//! What is wrong with which field: errors worded exactly as upstream words them.
//!
//! - [`Path`]: where we are in an object; borrows its parents and becomes text only when an error is made
//! - [`Errors`]: the collector rules write into: `errors.required(&path.field("name"), "")`
//! - [`Error`], [`ErrorKind`]: one finding, its text, and its form in a `Status`
//! - [`mod@format`]: checks of strings (DNS names, label keys, ports...) that return upstream's messages
//!
//! Source: apimachinery `pkg/util/validation/field` and `pkg/util/validation`.

mod error;
pub mod format;
mod path;
mod value;

pub use error::{Error, ErrorKind, Errors};
pub use path::Path;
pub use value::{BadValue, Json, quote};
