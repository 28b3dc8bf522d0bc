//! Server-side apply: say which fields an object must have; the server remembers who said so.
//!
//! [`apply`] merges a configuration into an object and settles who owns what; [`track_update`] does the book-keeping for
//! every other write. Both return the object with its `metadata.managedFields`.
//!
//! An owner's entry in another API version is read with the same schema: versions share one storage form here.
//!
//! Source: structured-merge-diff `merge/update.go`, apimachinery `util/managedfields`.

mod compare;
mod last_applied;
mod managers;
mod merge;
mod path;
mod request;
mod set;
mod typed;

pub use compare::{Comparison, compare};
pub use path::{Atom, Element};
pub use set::FieldSet;

use crate::schema::{Any, Schema, Shape, Type};
use jiff::Timestamp;
use managers::{Id, Managers, Operation, Owned};
use request::{check_request, check_type, conflict};
use serde_json::{Value, json};
use std::sync::LazyLock;

/// Owns what an object had before anyone tracked it.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// Who writes, and when.
#[derive(Clone, Copy, Debug)]
pub struct Manager<'a> {
    /// The request's field manager; `unknown` if empty.
    pub name: &'a str,
    /// The version written, such as `apps/v1`.
    pub api_version: &'a str,
    /// The subresource written; empty for the object itself.
    pub subresource: &'a str,
    /// Now, of which whole seconds are kept.
    pub now: Timestamp,
}

/// Why a configuration cannot be applied; each variant is an HTTP status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// 400: the configuration is of another version, or sets `managedFields`.
    #[error("{0}")]
    BadRequest(String),
    /// 409: others own fields that the configuration would change. Apply again with `force` to take them.
    #[error("{message}")]
    Conflict {
        /// `Apply failed with 1 conflict: conflict with "kubectl" using apps/v1: .spec.replicas`
        message: String,
        /// One per field; reason `FieldManagerConflict`.
        causes: Vec<Cause>,
    },
    /// 500, as upstream: the configuration does not fit its type.
    #[error("{0}")]
    Internal(String),
}

/// One conflict, for the causes of a Status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// `conflict with "kubectl" using apps/v1`
    pub message: String,
    /// `.spec.replicas`
    pub field: String,
}

/// Who would lose which fields.
type Conflicts = Vec<(Id, FieldSet)>;

/// Applies a configuration: fields in `applied` get its values and belong to `manager`; fields that it applied before, and
/// does not now, go unless someone else owns them. `live` is `None` if the object is to be created.
///
/// `reset` are fields that this endpoint never changes (`status` for the object itself, all else for `/status`).
/// The result may hold `null` where a custom resource's list or map was emptied.
///
/// Errors: [`Error::Conflict`] if others own fields whose values would change, unless `force`.
pub fn apply(
    schema: &Schema,
    live: Option<&Value>,
    applied: &Value,
    manager: &Manager<'_>,
    force: bool,
    reset: &FieldSet,
) -> Result<Value, Error> {
    check_request(live, applied, manager)?;
    check_type(schema, applied)?;
    let created = json!({ "apiVersion": applied.get("apiVersion"), "kind": applied.get("kind") });
    let attempt = Attempt { schema, live: live.unwrap_or(&created), applied, manager, reset };
    let managed = managers::decode(managed_fields(attempt.live))
        .map_err(|error| Error::Internal(format!("failed to decode managed fields: {error}")))?;
    let (mut object, conflicts) = attempt.run(managed);
    if !force {
        let conflicts = last_applied::unexcused(schema, attempt.live, manager, conflicts);
        if !conflicts.is_empty() {
            return Err(conflict(&conflicts));
        }
    }
    last_applied::refresh(&mut object, applied, manager);
    Ok(object)
}

/// Puts a configuration onto an object without asking or telling who owns what, as policies do: no field goes.
///
/// # Errors
///
/// The configuration does not fit its type, or would replace a list, map or object that is one piece.
pub fn merge(schema: &Schema, live: &Value, config: &Value) -> Result<Value, String> {
    check_type(schema, config).map_err(|error| error.to_string())?;
    let pieces = merge::pieces(schema.root(), config);
    if !pieces.is_empty() {
        let why = "invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs";
        return Err(format!("{why}: {}", pieces.join(", ")));
    }
    Ok(merge::merge(schema.root(), live, config))
}

/// Settles who owns what after a create, update or patch turned `old` into `new`: `manager` owns what it changed, others
/// lose it. An object that exists and has no `managedFields` stays untracked until it is applied to.
///
/// `new`'s own `managedFields` count (a client may edit them, or reset them with `[]`), except in a subresource.
pub fn track_update(
    schema: &Schema,
    old: Option<&Value>,
    mut new: Value,
    manager: &Manager<'_>,
    reset: &FieldSet,
) -> Value {
    let mut managed = managers_of_update(old, &new, manager);
    strip_managed_fields(&mut new);
    if old.is_none() || !managed.is_empty() {
        let empty = Value::Object(Default::default());
        record(schema, old.unwrap_or(&empty), &new, manager, reset, &mut managed);
        managers::cap(&mut managed);
    }
    managers::encode(&mut new, &managed);
    new
}

/// Whether two versions of an object are the same but for the times in their `managedFields`: then nothing need be written.
///
/// Source: apiserver `IgnoreManagedFieldsTimestampsTransformer`.
pub fn same_but_times(old: &Value, new: &Value) -> bool {
    let entries = |object| {
        let mut entries = managed_fields(object).cloned().unwrap_or_default();
        entries
            .as_array_mut()
            .into_iter()
            .flatten()
            .filter_map(Value::as_object_mut)
            .for_each(|entry| drop(entry.remove("time")));
        entries
    };
    same_but_managed_fields(old, new) && entries(old) == entries(new)
}

struct Attempt<'a> {
    schema: &'a Schema,
    live: &'a Value,
    applied: &'a Value,
    manager: &'a Manager<'a>,
    reset: &'a FieldSet,
}

impl Attempt<'_> {
    /// The object after a forced apply, and what it took from whom.
    fn run(&self, mut managed: Managers) -> (Value, Conflicts) {
        let ty = self.schema.root();
        if managed.is_empty() {
            let before = Manager { name: BEFORE_FIRST_APPLY, ..*self.manager };
            let empty = Value::Object(Default::default());
            record(self.schema, &empty, self.live, &before, self.reset, &mut managed);
            managers::cap(&mut managed);
        }
        let id = Id::new(self.manager, Operation::Apply);
        let merged = merge::merge(ty, self.live, self.applied);
        let last = managed.remove(&id);
        let mut set = typed::fields(ty, self.applied);
        if !self.reset.is_empty() {
            set = set.recursive_difference(self.reset);
        }
        let (last_set, last_time) = last.map(|last| (last.set, last.time)).unwrap_or_default();
        let mut object = prune(ty, merged, &last_set, &set, &managed);
        if self.schema.is_builtin() {
            drop_nulls(Some(ty), &mut object);
        }

        let conflicts = match managed.is_empty() {
            true => Conflicts::new(), // A sole owner has nobody to take from.
            false => take(&mut managed, &compare(ty, self.live, &object).without(self.reset)),
        };
        set.subtract(&UNTRACKED);
        let is_changed = set != last_set || !same_but_managed_fields(self.live, &object);
        let time = if is_changed { Some(stamp(self.manager.now)) } else { last_time };
        if !set.is_empty() {
            managed.insert(id, Owned { api_version: self.manager.api_version.into(), set, time });
        }
        managers::encode(&mut object, &managed);
        (object, conflicts)
    }
}

/// Books a write from `old` to `new` on its manager.
fn record(schema: &Schema, old: &Value, new: &Value, manager: &Manager<'_>, reset: &FieldSet, managed: &mut Managers) {
    let found = compare(schema.root(), old, new).without(reset);
    if !managed.is_empty() {
        take(managed, &found);
    }
    let mut set = found.added;
    set.extend(&found.modified);
    set.subtract(&UNTRACKED);
    if set.is_empty() {
        return;
    }
    let id = Id::new(manager, Operation::Update);
    if let Some(before) = managed.remove(&id) {
        set.extend(&before.set);
    }
    let (api_version, time) = (manager.api_version.into(), Some(stamp(manager.now)));
    managed.insert(id, Owned { api_version, set, time });
}

/// Takes changed and removed fields from their owners; returns what each lost of changed ones.
fn take(managed: &mut Managers, found: &Comparison) -> Conflicts {
    let changed = found.modified.union(&found.added);
    let mut lost = Vec::new();
    for (id, owned) in managed.iter_mut() {
        let taken = owned.set.intersection(&changed);
        owned.set.subtract(&taken);
        owned.set.subtract(&found.removed);
        if !taken.is_empty() {
            lost.push((id.clone(), taken));
        }
    }
    managed.retain(|_, owned| !owned.set.is_empty());
    lost
}

/// Removes what was applied last time, is not now, and belongs to nobody else.
fn prune(ty: Type<'_>, merged: Value, last: &FieldSet, set: &FieldSet, others: &Managers) -> Value {
    if last.difference(set).is_empty() {
        return merged;
    }
    let whole = |set: &FieldSet| set.with_declared_parents(Some(ty));
    let fields_of = |value: &Value| whole(&typed::fields(ty, value));
    let (last, all) = (whole(last), fields_of(&merged));
    let owned = others.values().fold(set.clone(), |all, owned| all.union(&owned.set));

    let bare = merge::remove(Some(ty), &merged, &last);
    let kept = fields_of(&bare).union(&whole(&owned));
    let with_owned = merge::remove(Some(ty), &merged, &all.difference(&kept));
    // Fields that this manager never applied stay, owned or not.
    let gone = all.difference(&fields_of(&with_owned)).intersection(&last);
    merge::remove(Some(ty), &merged, &gone)
}

/// A Go struct has no `null` fields, so neither has a built-in object that was decoded once.
fn drop_nulls(ty: Option<Type<'_>>, value: &mut Value) {
    if ty.is_some_and(|ty| matches!(ty.shape(), Shape::Any(Any::Opaque | Any::Atomic))) {
        return;
    }
    match value {
        Value::Object(members) => {
            members.retain(|_, value| !value.is_null());
            for (name, value) in members {
                drop_nulls(ty.and_then(|ty| ty.member(name)), value);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| drop_nulls(ty.and_then(Type::item), item)),
        _ => {}
    }
}

/// Fields nobody owns. Source: apimachinery `stripmeta.go`.
static UNTRACKED: LazyLock<FieldSet> = LazyLock::new(|| {
    FieldSet::of_fields(&[
        &["apiVersion"],
        &["kind"],
        &["metadata"],
        &["metadata", "name"],
        &["metadata", "namespace"],
        &["metadata", "creationTimestamp"],
        &["metadata", "selfLink"],
        &["metadata", "uid"],
        &["metadata", "clusterName"],
        &["metadata", "generation"],
        &["metadata", "managedFields"],
        &["metadata", "resourceVersion"],
    ])
});

fn managers_of_update(old: Option<&Value>, new: &Value, manager: &Manager<'_>) -> Managers {
    let of_old = || managers::decode(old.and_then(managed_fields)).unwrap_or_default();
    if !manager.subresource.is_empty() {
        return of_old();
    }
    let given = managed_fields(new);
    match given.and_then(Value::as_array).map(Vec::as_slice) {
        Some([]) => return Managers::new(),
        Some([Value::Object(only)]) if only.is_empty() => return Managers::new(),
        _ => {}
    }
    match managers::decode(given) {
        Ok(managed) if !managed.is_empty() => managed,
        _ => of_old(),
    }
}

fn managed_fields(object: &Value) -> Option<&Value> {
    object.get("metadata")?.get("managedFields")
}

fn strip_managed_fields(object: &mut Value) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
}

fn same_but_managed_fields(left: &Value, right: &Value) -> bool {
    same_but(left, right, "metadata", |left, right| same_but(left, right, "managedFields", |_, _| true))
}

/// Whether two objects are the same in all members but one, and in that by `same`.
fn same_but<'v>(left: &'v Value, right: &'v Value, name: &'v str, same: impl Fn(&Value, &Value) -> bool) -> bool {
    fn others<'v>(value: &'v Value, name: &'v str) -> impl Iterator<Item = (&'v String, &'v Value)> {
        value.as_object().into_iter().flatten().filter(move |(other, _)| *other != name)
    }
    let (own, other) = (left.get(name).unwrap_or(&Value::Null), right.get(name).unwrap_or(&Value::Null));
    others(left, name).eq(others(right, name)) && same(own, other)
}

fn stamp(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests;
