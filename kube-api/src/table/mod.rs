//! What `kubectl get` shows: the server prints, so every client shows the same columns.
//!
//! | module | what it holds |
//! |---|---|
//! | [`column`](self) | one column: name, type, description, whether only `-o wide` shows it |
//! | `rows` | which kind is printed by which [`Printer`]; kinds without one show name and creation time |
//! | `pod`, `workloads`, `network`, ... | the printers: columns, and the function that fills them |
//! | `custom`, `path` | the columns a custom resource definition asks for |
//! | `age`, `text` | how times, labels, containers and long lists are spelled |
//!
//! The reading side ([`crate::read`]) makes the `meta.k8s.io/v1` Table of them.
//! All columns are always sent, wide ones too; the client picks. Source: `pkg/printers/internalversion/printers.go`.

mod admission;
mod age;
mod autoscaling;
mod basic;
mod batch;
mod certificates;
mod cluster;
mod column;
mod custom;
mod event;
mod flowcontrol;
mod network;
mod node;
mod path;
mod pod;
mod rbac;
mod resource;
mod rows;
mod storage;
#[cfg(test)]
mod tests;
mod text;
mod workloads;

use coracle_core::{Kind, Object};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use serde::Serialize;
use serde_json::Value;

pub use age::human_duration;
pub use column::{Column, Description};
pub use custom::{CustomColumns, UnknownColumn};

/// How one kind is shown.
struct Printer {
    columns: &'static [Column<'static>],
    /// One cell per column, or `None` if the object is not of the printer's type.
    cells: fn(&Object, Timestamp) -> Option<Vec<Value>>,
}

/// A printer: the type it prints, its columns, and the function from a value of the type to its cells.
macro_rules! printer {
    ($kind:ty, $cells:path, [$($column:expr),* $(,)?]) => {
        $crate::table::Printer {
            columns: &[$($column),*],
            cells: |object, now| object.get::<$kind>().map(|object| $cells(object, now)),
        }
    };
}

/// A row's cells, each of whatever JSON type it is.
macro_rules! row {
    ($($cell:expr),* $(,)?) => { vec![$(serde_json::Value::from($cell)),*] };
}

use {printer, row};

/// The columns of a kind, in the order they are shown. All versions of a kind share them.
#[must_use]
pub fn columns(kind: &Kind) -> &'static [Column<'static>] {
    rows::printer(kind).columns
}

/// The columns of a kind in a version: its printer's, or those that the definition of a custom kind asks for.
pub(crate) fn columns_of(kind: &Kind) -> Value {
    let columns = match custom_columns(kind) {
        Some(custom) => serde_json::to_value(custom.columns()),
        None => serde_json::to_value(columns(kind)),
    };
    columns.unwrap_or_default()
}

/// The cells of one object, one per column of [`columns_of`].
pub(crate) fn cells_of(kind: &Kind, object: &Object, now: Timestamp) -> Vec<Value> {
    custom_columns(kind).map_or_else(|| cells(object, now), |custom| custom.cells(object, now))
}

/// Columns that are not understood are left out altogether: the age is shown then, as for a definition without columns.
fn custom_columns(kind: &Kind) -> Option<CustomColumns> {
    let definitions = &kind.custom.as_ref()?.columns;
    if definitions.is_empty() { None } else { CustomColumns::new(definitions).ok() }
}

/// The cells of one object, one per column of its kind.
#[must_use]
pub fn cells(object: &Object, now: Timestamp) -> Vec<Value> {
    let printer = rows::printer(object.kind());
    (printer.cells)(object, now).unwrap_or_else(|| {
        let mut cells = vec![Value::Null; printer.columns.len()];
        if let Some(first) = cells.first_mut() {
            *first = object.name().into();
        }
        cells
    })
}

/// What a row says of its object besides the cells: only that a pod has run to its end. Source: meta/v1 TableRowCondition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RowCondition {
    /// `Completed`: the object will not change by itself any more.
    #[serde(rename = "type")]
    pub type_: &'static str,
    /// `True`.
    pub status: &'static str,
    /// The pod's phase.
    pub reason: &'static str,
    /// The same as a sentence.
    pub message: &'static str,
}

/// The conditions of one object's row; usually there are none, and then the row leaves them out.
#[must_use]
pub fn conditions(object: &Object) -> Option<[RowCondition; 1]> {
    let (reason, message) = pod::completion(object.get::<Pod>()?)?;
    Some([RowCondition { type_: "Completed", status: "True", reason, message }])
}
