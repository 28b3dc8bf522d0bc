//! The functions of Kubernetes' expressions: one table, whose rows say a function's name, its signatures, what a call costs, and
//! what it does.
//!
//! | module | what its rows are |
//! |---|---|
//! | `operators` | arithmetic, order, equality, indexes |
//! | `convert` | from type to type |
//! | `time` | timestamps and durations |
//! | `strings`, `template`, `pattern` | text, `format`, regular expressions |
//! | `lists`, `optional` | lists, sets, optionals |
//! | `network`, `url`, `quantity`, `version`, `named_format` | Kubernetes' own types |
//! | `authorization` | questions to the authorizer |
//!
//! Source: the CEL specification, cel-go `ext`, apiserver `pkg/cel/library` and `pkg/cel/environment` (v1.36).

mod authorization;
mod convert;
mod lists;
mod named_format;
mod network;
mod opaque;
pub(super) mod operators;
mod optional;
mod pattern;
mod quantity;
mod signature;
mod strings;
mod template;
mod time;
mod url;
mod version;

use std::collections::HashMap;
use std::sync::LazyLock;

pub use authorization::{Attributes, Authorizer, Check, Decision, Who};
pub(super) use lists::sort;
pub use opaque::Opaque;
pub(super) use pattern::Patterns;
pub(super) use time::{parse_duration, show_duration};

use super::cost::Cost;
use super::meter::Meter;
use super::{Error, Type, Value};
use regex::Regex;

/// A function with all of its overloads.
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) overloads: Vec<Overload>,
    pub(super) cost: Cost,
    pub(super) run: Run,
}

/// One signature.
#[derive(Debug)]
pub(super) struct Overload {
    /// Whether the first parameter stands before the dot.
    pub(super) is_member: bool,
    pub(super) params: Vec<Type>,
    pub(super) result: Type,
}

/// One call: its arguments, the target first, and what it may use.
pub(super) struct Call<'c, 'a> {
    pub(super) args: &'c [Value<'a>],
    pub(super) meter: &'c mut Meter,
    /// The pattern, if the expression names it literally.
    pub(super) pattern: Option<&'c Regex>,
    pub(super) patterns: &'c mut Patterns,
    pub(super) authorizer: Option<&'c dyn Authorizer>,
}

pub(super) type Run = for<'a> fn(&mut Call<'_, 'a>) -> Result<Value<'a>, Error>;
type Row = (&'static str, &'static [&'static str], Cost, Run);

static FUNCTIONS: LazyLock<HashMap<&'static str, Function>> = LazyLock::new(|| {
    let tables = [
        operators::ROWS,
        convert::ROWS,
        time::ROWS,
        strings::ROWS,
        template::ROWS,
        pattern::ROWS,
        lists::ROWS,
        optional::ROWS,
        network::ROWS,
        url::ROWS,
        quantity::ROWS,
        version::ROWS,
        named_format::ROWS,
        authorization::ROWS,
    ];
    let function = |(name, signatures, cost, run): &Row| {
        let overloads = signatures.iter().filter_map(|text| signature::parse(text)).collect();
        (*name, Function { name, overloads, cost: *cost, run: *run })
    };
    tables.into_iter().flatten().map(function).collect()
});

/// The function of a name.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.get(name)
}

#[cfg(test)]
pub(super) fn check_table() {
    for table in [operators::ROWS, convert::ROWS, time::ROWS, strings::ROWS, template::ROWS, pattern::ROWS, lists::ROWS]
    {
        table.iter().for_each(|row| row.1.iter().for_each(|text| assert!(signature::parse(text).is_some(), "{text}")));
    }
    for table in [
        optional::ROWS,
        network::ROWS,
        url::ROWS,
        quantity::ROWS,
        version::ROWS,
        named_format::ROWS,
        authorization::ROWS,
    ] {
        table.iter().for_each(|row| row.1.iter().for_each(|text| assert!(signature::parse(text).is_some(), "{text}")));
    }
}
