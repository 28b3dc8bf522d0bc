//! The documents of one set of kinds. Each is made when first asked for and then kept.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::OnceLock;

use bytes::Bytes;
use coracle_core::Kind;
use coracle_core::kind::{Kinds, split_api_version};
use coracle_core::schema::Schema;
use serde_json::{Map, Value, json};

use super::dialect::{Dialect, set};
use super::schema::Definitions;
use super::{paths, protobuf};

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";

/// A document and its fingerprint.
#[derive(Clone, Debug)]
pub struct Document {
    /// The bytes.
    pub bytes: Bytes,
    /// The same for the same bytes: 32 hexadecimal digits, without quotes.
    pub hash: String,
}

impl Document {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        let half = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            (salt, &bytes).hash(&mut hasher);
            hasher.finish()
        };
        let hash = format!("{:016X}{:016X}", half(0), half(1));
        Self { bytes: bytes.into(), hash }
    }
}

/// The OpenAPI documents of one set of kinds. When the kinds change, make a new one: nothing is built before it is asked for.
#[derive(Debug)]
pub struct OpenApi {
    kinds: Kinds,
    /// Schemas of custom kinds by definition name.
    custom: BTreeMap<String, Value>,
    groups: BTreeMap<String, OnceLock<Document>>,
    index: OnceLock<Document>,
    v2: OnceLock<Document>,
    v2_protobuf: OnceLock<Document>,
}

impl OpenApi {
    /// The documents of these kinds.
    #[must_use]
    pub fn new(kinds: Kinds) -> Self {
        let groups = kinds.iter().map(|kind| (path(kind), OnceLock::new())).collect();
        let (custom, index, v2, v2_protobuf) = Default::default();
        Self { kinds, custom, groups, index, v2, v2_protobuf }
    }

    /// Describes a custom kind by the `openAPIV3Schema` of its definition. Kinds without one may have any field.
    #[must_use]
    pub fn with_schema(mut self, kind: &Kind, schema: Value) -> Self {
        self.custom.insert(kind.definition.to_string(), schema);
        self
    }

    /// `/openapi/v3`: where each group version is described, with its hash, so that clients may keep it for ever.
    pub fn v3_index(&self) -> Document {
        let make = || {
            let entry = |path: &String| {
                let hash = self.v3(path).map(|document| document.hash).unwrap_or_default();
                (path.clone(), json!({"serverRelativeURL": format!("/openapi/v3/{path}?hash={hash}")}))
            };
            encode(&json!({"paths": self.groups.keys().map(entry).collect::<Map<_, _>>()}))
        };
        self.index.get_or_init(make).clone()
    }

    /// The v3 document of a group version, such as `api/v1` or `apis/apps/v1`; `None` if it is not served.
    pub fn v3(&self, path: &str) -> Option<Document> {
        let make = || encode(&self.document(Dialect::V3, |kind| self::path(kind) == path));
        Some(self.groups.get(path)?.get_or_init(make).clone())
    }

    /// `/openapi/v2` as JSON.
    pub fn v2(&self) -> Document {
        self.v2.get_or_init(|| encode(&self.document(Dialect::V2, |_| true))).clone()
    }

    /// `/openapi/v2` as a gnostic `openapi.v2.Document`.
    pub fn v2_protobuf(&self) -> Document {
        let make = || Document::new(protobuf::document(&self.document(Dialect::V2, |_| true)));
        self.v2_protobuf.get_or_init(make).clone()
    }

    fn document(&self, dialect: Dialect, is_meant: impl Fn(&Kind) -> bool) -> Value {
        let kinds: Vec<_> = self.kinds.iter().map(AsRef::as_ref).filter(|kind| is_meant(kind)).collect();
        let paths = kinds.iter().flat_map(|kind| paths::paths(kind, dialect, is_custom(kind)));
        let paths: Map<_, _> = paths.collect();
        let info = json!({"title": "Kubernetes", "version": "v1.36.0"});
        let definitions = self.definitions(dialect, &kinds);
        match dialect {
            Dialect::V2 => json!({"swagger": "2.0", "info": info, "paths": paths, "definitions": definitions}),
            Dialect::V3 => {
                json!({"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": definitions}})
            }
        }
    }

    /// What the kinds are made of, all the way down.
    fn definitions(&self, dialect: Dialect, kinds: &[&Kind]) -> Map<String, Value> {
        let mut definitions = Definitions::new(dialect);
        let mut made = Map::new();
        for kind in kinds.iter().filter(|kind| is_custom(kind)) {
            made.insert(kind.definition.to_string(), self.custom_definition(&mut definitions, kind));
            made.insert(format!("{}List", kind.definition), custom_list(&mut definitions, kind));
        }
        definitions.referred.extend(roots(kinds));
        while let Some(name) = definitions.referred.pop_first() {
            if !made.contains_key(&name)
                && let Some(definition) = definitions.definition(&name)
            {
                made.insert(name, definition);
            }
        }
        self.add_group_version_kinds(&mut made, kinds);
        made
    }

    fn custom_definition(&self, definitions: &mut Definitions, kind: &Kind) -> Value {
        let open = || json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        let own = || kind.custom.as_ref()?.open_api();
        let mut schema = self.custom.get(&*kind.definition).cloned().or_else(own).unwrap_or_else(open);
        let metadata = format!("{META}.ObjectMeta");
        let mut properties = schema.get("properties").cloned().unwrap_or_else(|| json!({}));
        set(&mut properties, "metadata", definitions.dialect.reference(&metadata));
        set(&mut properties, "apiVersion", json!({"type": "string"}));
        set(&mut properties, "kind", json!({"type": "string"}));
        set(&mut schema, "properties", properties);
        definitions.referred.insert(metadata);
        schema
    }

    /// Tells which definitions are the bodies of which kinds.
    fn add_group_version_kinds(&self, made: &mut Map<String, Value>, kinds: &[&Kind]) {
        let mut add = |definition: &str, group: &str, version: &str, kind: &str| {
            let Some(definition) = made.get_mut(definition).and_then(Value::as_object_mut) else { return };
            let list = definition.entry("x-kubernetes-group-version-kind").or_insert_with(|| json!([]));
            let gvk = json!({"group": group, "version": version, "kind": kind});
            if let Some(list) = list.as_array_mut().filter(|list| !list.contains(&gvk)) {
                list.push(gvk);
            }
        };
        let options = format!("{META}.DeleteOptions");
        for kind in kinds {
            let (group, version) = (&kind.group, &kind.version);
            add(&kind.definition, group, version, &kind.kind);
            add(&format!("{}List", kind.definition), group, version, &kind.list_kind());
            add(&options, group, version, "DeleteOptions");
            for subresource in kind.subresources.iter() {
                let (group, version, body) = &subresource.body;
                add(&paths::body_definition(kind, subresource), group, version, body);
            }
        }
        add(&format!("{META}.Status"), "", "v1", "Status");
    }
}

/// The definitions that paths refer to.
fn roots(kinds: &[&Kind]) -> BTreeSet<String> {
    let common = ["Status", "DeleteOptions", "Patch", "ListMeta"].map(|name| format!("{META}.{name}"));
    let mut roots = BTreeSet::from(common);
    for kind in kinds {
        roots.insert(kind.definition.to_string());
        roots.insert(format!("{}List", kind.definition));
        roots.extend(kind.subresources.iter().map(|subresource| paths::body_definition(kind, subresource)));
    }
    roots
}

fn custom_list(definitions: &mut Definitions, kind: &Kind) -> Value {
    let dialect = definitions.dialect;
    let metadata = format!("{META}.ListMeta");
    definitions.referred.insert(metadata.clone());
    json!({
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": dialect.reference(&metadata),
            "items": {"type": "array", "items": dialect.reference(&kind.definition)},
        },
    })
}

fn is_custom(kind: &Kind) -> bool {
    Schema::builtin(&kind.definition).is_none()
}

/// The path of a kind's group version below `/`.
fn path(kind: &Kind) -> String {
    let api_version = kind.api_version();
    let root = if split_api_version(&api_version).0.is_empty() { "api" } else { "apis" };
    format!("{root}/{api_version}")
}

fn encode(document: &Value) -> Document {
    Document::new(document.to_string().into_bytes())
}
