//! Strategic merge patch: a merge patch that knows which lists are keyed, and takes directives.
//!
//! | in the patch | means |
//! |---|---|
//! | `$patch: replace` | this object (or, in a list item, the whole list) replaces what is there |
//! | `$patch: delete` | this object, or the list item with this key, goes |
//! | `$retainKeys: [..]` | every other field of this object goes |
//! | `$deleteFromPrimitiveList/f: [..]` | these go from the list `f` of scalars |
//! | `$setElementOrder/f: [..]` | the list `f` ends up in this order |
//!
//! Source: apimachinery `util/strategicpatch`.

use super::lists::{self, merge_list};
use super::{Error, go};
use crate::schema::{Field, Schema, Shape, Strategy, Type};
use serde_json::{Map, Value};

pub(super) const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList";
const SET_ORDER: &str = "$setElementOrder";

type Object = Map<String, Value>;

/// Applies a strategic merge patch to an object of a built-in type. A custom resource has no merge keys: 400.
pub fn strategic(schema: &Schema, object: Value, patch: Value) -> Result<Value, Error> {
    if !schema.is_builtin() {
        return Err(Error::BadRequest("strategic merge patch format is not supported".into()));
    }
    match (object, patch) {
        (Value::Object(object), Value::Object(patch)) => merge_object(object, patch, schema.root()).map(Value::Object),
        (_, patch) => {
            let kind = go::json_kind(&patch);
            Err(Error::BadRequest(format!(
                "json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"
            )))
        }
    }
}

pub(super) fn merge_object(mut original: Object, mut patch: Object, ty: Type<'_>) -> Result<Object, Error> {
    if let Some(directive) = patch.get(DIRECTIVE) {
        return match directive.as_str() {
            Some("replace") => {
                patch.remove(DIRECTIVE);
                Ok(patch)
            }
            Some("delete") => Ok(Object::new()),
            _ => Err(unknown_directive(directive, &patch)),
        };
    }
    retain_keys(&mut original, &mut patch)?;
    order_lists(&mut original, &mut patch, ty)?;
    for (name, change) in patch {
        match name.starts_with(DELETE_FROM) {
            true => delete_from(&mut original, &name, change)?,
            false => merge_member(&mut original, name, change, ty)?,
        }
    }
    Ok(original)
}

fn merge_member(original: &mut Object, name: String, change: Value, ty: Type<'_>) -> Result<(), Error> {
    if change.is_null() {
        original.remove(&name);
        return Ok(());
    }
    let merged = match (original.remove(&name), change) {
        (Some(Value::Object(old)), Value::Object(change)) => {
            let (ty, field) = member(ty, &name)?;
            match field.map(|field| field.patch.strategy) {
                Some(Strategy::Replace) => Value::Object(change),
                _ => Value::Object(merge_object(old, change, ty)?),
            }
        }
        (Some(Value::Array(old)), Value::Array(change)) => {
            let (ty, field) = member(ty, &name)?;
            Value::Array(merge_list_of(field, ty, old, change)?)
        }
        (_, change) => match clean(change) {
            Some(change) => change,
            None => return Ok(()),
        },
    };
    original.insert(name, merged);
    Ok(())
}

/// A list merges if its field says so, and else is replaced.
fn merge_list_of(
    field: Option<&Field>,
    ty: Type<'_>,
    old: Vec<Value>,
    change: Vec<Value>,
) -> Result<Vec<Value>, Error> {
    match (field.map(|field| &field.patch), ty.item()) {
        (Some(rule), Some(item)) if rule.strategy == Strategy::Merge => {
            merge_list(old, change, rule.merge_key.as_deref(), item)
        }
        _ => Ok(change),
    }
}

/// A member's type and declaration.
fn member<'a>(ty: Type<'a>, name: &str) -> Result<(Type<'a>, Option<&'a Field>), Error> {
    let Shape::Struct(object) = ty.shape() else { return Ok((ty.member(name).unwrap_or(ty), None)) };
    let field = object.field(name);
    let missing = || {
        let owner = object.name.rsplit('.').next().unwrap_or_default();
        Error::Internal(format!("unable to find api field in struct {owner} for the json field {name:?}"))
    };
    Ok((ty.member(name).ok_or_else(missing)?, field))
}

/// A new value as it is kept: without nulls, and without parts that are directives. `None` if it is one itself.
pub(super) fn clean(value: Value) -> Option<Value> {
    match value {
        Value::Object(members) if members.contains_key(DIRECTIVE) => None,
        Value::Object(members) => {
            let members = members.into_iter().filter(|(_, value)| !value.is_null());
            Some(Value::Object(members.filter_map(|(name, value)| Some((name, clean(value)?))).collect()))
        }
        Value::Array(items) => Some(Value::Array(items.into_iter().filter_map(clean).collect())),
        scalar => Some(scalar),
    }
}

fn retain_keys(original: &mut Object, patch: &mut Object) -> Result<(), Error> {
    let Some(kept) = patch.remove(RETAIN_KEYS) else { return Ok(()) };
    let wrong = || Error::BadRequest("invalid patch format of retainKeys".into());
    let kept = kept.as_array().ok_or_else(wrong)?;
    let is_kept = |name: &String| kept.iter().any(|kept| kept.as_str() == Some(name));
    let is_directive = |name: &String| name.starts_with(DELETE_FROM) || name.starts_with(SET_ORDER);
    if patch.iter().any(|(name, value)| !value.is_null() && !is_directive(name) && !is_kept(name)) {
        return Err(wrong());
    }
    original.retain(|name, _| is_kept(name));
    Ok(())
}

fn delete_from(original: &mut Object, name: &str, change: Value) -> Result<(), Error> {
    let wrong = || Error::BadRequest("invalid patch format of primitive list".into());
    let list = name.strip_prefix(DELETE_FROM).and_then(|rest| rest.strip_prefix('/')).ok_or_else(wrong)?;
    match (original.get_mut(list), change) {
        (Some(_), Value::Null) => drop(original.remove(list)),
        (Some(Value::Array(items)), Value::Array(gone)) => items.retain(|item| !gone.contains(item)),
        _ => {}
    }
    Ok(())
}

/// Merges each list that comes with a `$setElementOrder`, takes it out of the patch, and puts it in order.
fn order_lists(original: &mut Object, patch: &mut Object, ty: Type<'_>) -> Result<(), Error> {
    let directives: Vec<String> = patch.keys().filter(|name| name.starts_with(SET_ORDER)).cloned().collect();
    for directive in directives {
        let wrong = || Error::BadRequest("invalid patch format of setElementOrder list".into());
        let name = directive.strip_prefix(SET_ORDER).and_then(|rest| rest.strip_prefix('/')).ok_or_else(wrong)?;
        let order = array(patch.remove(&directive))?.unwrap_or_default();
        let (old, change) = (array(original.get(name).cloned())?, array(patch.remove(name))?);
        let (ty, field) = member(ty, name)?;
        let key = field.and_then(|field| field.patch.merge_key.as_deref());
        lists::check_order(change.as_deref().unwrap_or_default(), &order, key)?;
        let merged = match (old.clone(), change) {
            (None, None) => continue,
            (Some(old), None) => old,
            (None, Some(change)) => change.into_iter().filter_map(clean).collect(),
            (Some(old), Some(change)) => merge_list_of(field, ty, old, change)?,
        };
        let ordered = lists::in_order(merged, &order, &old.unwrap_or_default(), key)?;
        original.insert(name.to_owned(), Value::Array(ordered));
    }
    Ok(())
}

fn array(value: Option<Value>) -> Result<Option<Vec<Value>>, Error> {
    match value {
        None => Ok(None),
        Some(Value::Array(items)) => Ok(Some(items)),
        Some(other) => {
            Err(Error::Internal(format!("expected a []interface {{}}, but received a {}", go::type_name(&other))))
        }
    }
}

pub(super) fn unknown_directive(directive: &Value, patch: &Object) -> Error {
    let (directive, patch) = (go::print(directive), go::print(&Value::Object(patch.clone())));
    Error::Internal(format!("unknown patch type: {directive} in map: {patch}"))
}
