//! Equality as upstream sees it.

use serde::Serialize;
use serde_json::Value;

/// Whether two values mean the same: equal, or unlike only in what is absent on one side and empty (`""`, `[]`) on the other.
///
/// Upstream's types mostly cannot tell these apart, ours can. The second, slower look happens only for unequal values.
pub fn same<T: PartialEq + Serialize>(left: &T, right: &T) -> bool {
    left == right || without_empties(left) == without_empties(right)
}

fn without_empties<T: Serialize>(value: &T) -> Option<Value> {
    // Through bytes rather than straight into a Value: one serializer for all kinds keeps the build small.
    let mut value = serde_json::from_slice(&serde_json::to_vec(value).ok()?).ok()?;
    prune(&mut value);
    Some(value)
}

fn prune(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(prune);
            fields.retain(|_, field| !is_empty(field));
        }
        Value::Array(items) => items.iter_mut().for_each(prune),
        _ => {}
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}
