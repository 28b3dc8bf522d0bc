//! `metadata.managedFields`: who owns which fields.
//!
//! Source: apimachinery `util/managedfields/internal` (managedfields.go, capmanagers.go).

use super::set::FieldSet;
use crate::strict::quote::quote;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};

/// Owners by other means than apply beyond this many are merged, oldest first.
const UPDATERS_MAX: usize = 10;
/// Whose name the merged ones get.
const ANCIENT: &str = "ancient-changes";

/// How an owner came to own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    Apply,
    Update,
}

/// Tells owners apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id {
    pub(super) manager: String,
    pub(super) operation: Operation,
    /// Empty for [`Operation::Apply`]: whoever applies again replaces what it applied in another version.
    pub(super) api_version: String,
    pub(super) subresource: String,
}

impl Id {
    pub(super) fn new(manager: &super::Manager<'_>, operation: Operation) -> Self {
        let name = if manager.name.is_empty() { "unknown" } else { manager.name };
        let api_version = if operation == Operation::Apply { "" } else { manager.api_version };
        Self {
            manager: name.into(),
            operation,
            api_version: api_version.into(),
            subresource: manager.subresource.into(),
        }
    }

    /// `"kubectl" with subresource "status" using apps/v1`
    pub(super) fn print(&self) -> String {
        let mut text = quote(&self.manager);
        if !self.subresource.is_empty() {
            text += &format!(" with subresource {}", quote(&self.subresource));
        }
        if self.operation == Operation::Update {
            text += &format!(" using {}", self.api_version);
        }
        text
    }
}

/// What one owner owns.
#[derive(Clone, Debug)]
pub(super) struct Owned {
    pub(super) api_version: String,
    pub(super) set: FieldSet,
    /// RFC 3339, as it was written.
    pub(super) time: Option<String>,
}

impl Owned {
    fn seconds(&self) -> i64 {
        let time = self.time.as_deref().and_then(|time| time.parse::<Timestamp>().ok());
        time.map_or(0, Timestamp::as_second)
    }
}

/// All owners of an object.
pub(super) type Managers = BTreeMap<Id, Owned>;

/// Reads `metadata.managedFields`. The error is upstream's.
pub(super) fn decode(entries: Option<&Value>) -> Result<Managers, String> {
    let entries = entries.and_then(Value::as_array).into_iter().flatten();
    entries.enumerate().map(|(index, entry)| decode_entry(index, entry)).collect()
}

fn decode_entry(index: usize, entry: &Value) -> Result<(Id, Owned), String> {
    let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
    let operation = match text("operation") {
        "Apply" => Operation::Apply,
        "Update" => Operation::Update,
        _ => return Err("operation must be `Apply` or `Update`".into()),
    };
    let api_version = text("apiVersion");
    if api_version.is_empty() {
        return Err("apiVersion must not be empty".into());
    }
    match text("fieldsType") {
        "FieldsV1" => {}
        "" => return Err(format!("missing fieldsType in managed fields entry {index}")),
        other => return Err(format!("invalid fieldsType {} in managed fields entry {index}", quote(other))),
    }
    let set = entry.get("fieldsV1").map_or(Ok(FieldSet::default()), FieldSet::decode);
    let set = set.map_err(|error| format!("error decoding versioned set: error decoding set: {error}"))?;
    let manager = super::Manager {
        name: text("manager"),
        api_version,
        subresource: text("subresource"),
        now: Timestamp::UNIX_EPOCH,
    };
    let id = Id { manager: manager.name.into(), ..Id::new(&manager, operation) };
    let time = entry.get("time").and_then(Value::as_str).map(str::to_owned);
    Ok((id, Owned { api_version: api_version.into(), set, time }))
}

/// Writes `metadata.managedFields`, or removes it if nobody owns anything.
pub(super) fn encode(object: &mut Value, managers: &Managers) {
    let mut sorted: Vec<_> = managers.iter().collect();
    sorted.sort_by_key(|(id, owned)| (id.operation, owned.seconds(), &id.manager, &owned.api_version, &id.subresource));
    let entries: Vec<Value> = sorted.into_iter().map(|(id, owned)| encode_entry(id, owned)).collect();
    let Some(object) = object.as_object_mut() else { return };
    let metadata = object.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
    let Some(metadata) = metadata.as_object_mut() else { return };
    match entries.is_empty() {
        true => drop(metadata.remove("managedFields")),
        false => drop(metadata.insert("managedFields".into(), Value::Array(entries))),
    }
}

fn encode_entry(id: &Id, owned: &Owned) -> Value {
    let operation = if id.operation == Operation::Apply { "Apply" } else { "Update" };
    let mut entry = json!({
        "apiVersion": owned.api_version,
        "fieldsType": "FieldsV1",
        "fieldsV1": owned.set.encode(),
        "operation": operation,
    });
    if let Some(entry) = entry.as_object_mut() {
        let texts =
            [("manager", Some(&id.manager)), ("subresource", Some(&id.subresource)), ("time", owned.time.as_ref())];
        let given = texts.into_iter().filter_map(|(name, text)| Some((name, text.filter(|text| !text.is_empty())?)));
        entry.extend(given.map(|(name, text)| (name.to_owned(), Value::from(text.as_str()))));
    }
    entry
}

/// Merges the oldest updaters into [`ANCIENT`], one per version, until there are few enough.
pub(super) fn cap(managers: &mut Managers) {
    let updaters = managers.iter().filter(|(id, _)| id.operation == Operation::Update);
    let mut updaters: Vec<_> = updaters.map(|(id, owned)| (owned.seconds(), id.clone())).collect();
    updaters.sort();
    let mut left = updaters.len();
    let mut first_of_version: HashMap<String, Id> = HashMap::new();
    for (_, id) in updaters {
        if left <= UPDATERS_MAX {
            return;
        }
        let Some(version) = managers.get(&id).map(|owned| owned.api_version.clone()) else { continue };
        let Some(first) = first_of_version.get(&version) else {
            first_of_version.insert(version, id);
            continue;
        };
        let bucket = Id {
            manager: ANCIENT.into(),
            operation: Operation::Update,
            api_version: version,
            subresource: String::new(),
        };
        if !managers.contains_key(&bucket) {
            let moved = managers.remove(first);
            managers.extend(moved.map(|moved| (bucket.clone(), moved)));
        }
        if id == bucket {
            continue;
        }
        if let (Some(merged), Some(bucket)) = (managers.remove(&id), managers.get_mut(&bucket)) {
            bucket.set = bucket.set.union(&merged.set);
            bucket.time = merged.time;
            left -= 1;
        }
    }
}
