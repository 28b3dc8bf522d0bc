//! The operations on a kind. Source: apiserver `endpoints/installer.go`.

use coracle_core::Kind;
use coracle_core::kind::Subresource;
use serde_json::{Map, Value, json};

use super::dialect::{Dialect, set};

const STATUS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Status";
const DELETE_OPTIONS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
const PATCH: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";
const MEDIA: &[&str] = &["application/json", "application/yaml"];
const PATCH_MEDIA: &[&str] = &[
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];
const CUSTOM_PATCH_MEDIA: &[&str] =
    &["application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"];

/// A parameter: name, type, what it does.
type Parameter = (&'static str, &'static str, &'static str);

const WRITE: &[Parameter] = &[
    ("dryRun", "string", "Set to All to go through every step of the request but the last: nothing is kept."),
    (
        "fieldManager",
        "string",
        "The name under which this change's fields are managed; at most 128 printable characters.",
    ),
    (
        "fieldValidation",
        "string",
        "What to do about unknown and duplicate fields: Ignore, Warn (the default) or Strict.",
    ),
];
const FORCE: &[Parameter] =
    &[("force", "boolean", "Whether an apply takes over fields that others manage, instead of failing.")];
const DELETE: &[Parameter] = &[
    ("dryRun", "string", "Set to All to go through every step of the request but the last: nothing is kept."),
    ("gracePeriodSeconds", "integer", "Seconds until the object is deleted; zero means at once."),
    ("orphanDependents", "boolean", "Deprecated in favour of propagationPolicy: whether dependents are kept."),
    ("propagationPolicy", "string", "What becomes of dependents: Orphan, Background or Foreground."),
];
const LIST: &[Parameter] = &[
    ("allowWatchBookmarks", "boolean", "Whether a watch sends bookmarks, which only say how far it has come."),
    ("continue", "string", "The token of the previous page."),
    ("fieldSelector", "string", "Which objects, by their fields."),
    ("labelSelector", "string", "Which objects, by their labels."),
    ("limit", "integer", "How many objects a page has at most."),
    ("resourceVersion", "string", "How recent the answer must be, or where a watch begins."),
    ("resourceVersionMatch", "string", "How resourceVersion is meant in a list: Exact or NotOlderThan."),
    ("sendInitialEvents", "boolean", "Whether a watch begins with what exists already."),
    ("timeoutSeconds", "integer", "When a list or watch ends at the latest."),
    ("watch", "boolean", "Watch for changes instead of listing."),
];

/// Every path of a kind, with its operations.
pub(super) fn paths(kind: &Kind, dialect: Dialect, is_custom: bool) -> Vec<(String, Value)> {
    let of = Operations { kind, dialect, is_custom };
    let root = if kind.group.is_empty() { "/api".to_owned() } else { format!("/apis/{}", kind.group) };
    let root = format!("{root}/{}", kind.version);
    let namespace = if kind.namespaced { "/namespaces/{namespace}" } else { "" };
    let collection = format!("{root}{namespace}/{}", kind.plural);
    let object = format!("{collection}/{{name}}");
    let mut paths = vec![(collection, of.collection()), (object.clone(), of.object())];
    if kind.namespaced && kind.verbs.contains(&"list") {
        paths.push((format!("{root}/{}", kind.plural), of.all_namespaces()));
    }
    for subresource in kind.subresources.iter() {
        paths.push((format!("{object}/{}", subresource.name), of.subresource(subresource)));
    }
    paths.retain(|(_, item)| item.as_object().is_some_and(|item| item.keys().any(|key| key != "parameters")));
    paths
}

struct Operations<'a> {
    kind: &'a Kind,
    dialect: Dialect,
    is_custom: bool,
}

/// What an operation does: `action` as `x-kubernetes-action` says it, `title` as its id begins.
struct Deed {
    verb: &'static str,
    method: &'static str,
    action: &'static str,
    title: &'static str,
}

const READ: Deed = Deed { verb: "get", method: "get", action: "get", title: "read" };
const REPLACE: Deed = Deed { verb: "update", method: "put", action: "put", title: "replace" };
const CHANGE: Deed = Deed { verb: "patch", method: "patch", action: "patch", title: "patch" };
const REMOVE: Deed = Deed { verb: "delete", method: "delete", action: "delete", title: "delete" };
const CREATE: Deed = Deed { verb: "create", method: "post", action: "post", title: "create" };
const SEARCH: Deed = Deed { verb: "list", method: "get", action: "list", title: "list" };
const REMOVE_ALL: Deed =
    Deed { verb: "deletecollection", method: "delete", action: "deletecollection", title: "deleteCollection" };

impl Operations<'_> {
    fn collection(&self) -> Value {
        let own = self.kind.definition.to_string();
        let mut item = self.item(false);
        for deed in [SEARCH, CREATE, REMOVE_ALL].iter().filter(|deed| self.kind.verbs.contains(&deed.verb)) {
            let mut operation = self.operation(deed, self.gvk(), "");
            match deed.action {
                "post" => {
                    self.add_parameters(&mut operation, WRITE);
                    self.dialect.add_body(&mut operation, &own, MEDIA, true);
                    self.add_responses(&mut operation, &own, &["200", "201", "202"]);
                }
                "list" => {
                    self.add_parameters(&mut operation, LIST);
                    self.add_responses(&mut operation, &format!("{own}List"), &["200"]);
                }
                _ => {
                    self.add_parameters(&mut operation, DELETE);
                    self.add_parameters(&mut operation, LIST);
                    self.dialect.add_body(&mut operation, DELETE_OPTIONS, MEDIA, false);
                    self.add_responses(&mut operation, STATUS, &["200"]);
                }
            }
            item.insert(deed.method.to_owned(), operation);
        }
        item.into()
    }

    fn all_namespaces(&self) -> Value {
        let mut operation = self.operation(&SEARCH, self.gvk(), "ForAllNamespaces");
        self.add_parameters(&mut operation, LIST);
        self.add_responses(&mut operation, &format!("{}List", self.kind.definition), &["200"]);
        json!({"get": operation})
    }

    fn object(&self) -> Value {
        let own = self.kind.definition.to_string();
        self.methods(&self.kind.verbs, &own, &self.gvk(), "")
    }

    fn subresource(&self, subresource: &Subresource) -> Value {
        let (group, version, kind) = &subresource.body;
        let gvk = json!({"group": group, "version": version, "kind": kind});
        let suffix = title(&subresource.name);
        if subresource.verbs.contains(&"connect") || subresource.name == "log" {
            return self.stream(subresource, &gvk, &suffix);
        }
        let definition = body_definition(self.kind, subresource);
        self.methods(&subresource.verbs, &definition, &gvk, &suffix)
    }

    /// Reading and writing one object, or a part of it.
    fn methods(&self, verbs: &[&str], definition: &str, gvk: &Value, suffix: &str) -> Value {
        let mut item = self.item(true);
        let is_whole = suffix.is_empty();
        let deeds = [READ, REPLACE, CHANGE, REMOVE, CREATE];
        for deed in deeds.iter().filter(|deed| verbs.contains(&deed.verb) && !(is_whole && deed.verb == "create")) {
            let mut operation = self.operation(deed, gvk.clone(), suffix);
            match deed.action {
                "get" => self.add_responses(&mut operation, definition, &["200"]),
                "delete" => {
                    self.add_parameters(&mut operation, DELETE);
                    self.dialect.add_body(&mut operation, DELETE_OPTIONS, MEDIA, false);
                    self.add_responses(&mut operation, STATUS, &["200", "202"]);
                }
                "patch" => {
                    self.add_parameters(&mut operation, WRITE);
                    self.add_parameters(&mut operation, FORCE);
                    let media = if self.is_custom { CUSTOM_PATCH_MEDIA } else { PATCH_MEDIA };
                    self.dialect.add_body(&mut operation, PATCH, media, true);
                    self.add_responses(&mut operation, definition, &["200", "201"]);
                }
                _ => {
                    self.add_parameters(&mut operation, WRITE);
                    self.dialect.add_body(&mut operation, definition, MEDIA, true);
                    self.add_responses(&mut operation, definition, &["200", "201"]);
                }
            }
            item.insert(deed.method.to_owned(), operation);
        }
        item.into()
    }

    /// Logs and connections: what comes back is text or bytes.
    fn stream(&self, subresource: &Subresource, gvk: &Value, suffix: &str) -> Value {
        let mut item = self.item(true);
        let is_connection = subresource.verbs.contains(&"connect");
        let methods: &[(&str, &str)] = if is_connection { &[("get", "Get"), ("post", "Post")] } else { &[("get", "")] };
        for (method, title) in methods {
            let mut operation = self.operation(&READ, gvk.clone(), suffix);
            if is_connection {
                set(&mut operation, "x-kubernetes-action", "connect");
                set(&mut operation, "operationId", self.id(&format!("connect{title}"), suffix));
            }
            let response = self.dialect.response("OK", None, &["text/plain"]);
            set(&mut operation, "responses", json!({"200": response}));
            item.insert((*method).to_owned(), operation);
        }
        item.into()
    }

    /// The parameters that all operations on a path share.
    fn item(&self, has_name: bool) -> Map<String, Value> {
        let parameter = |name, text| self.dialect.parameter(name, "path", "string", text);
        let mut parameters = Vec::new();
        if has_name {
            parameters.push(parameter("name", "The object's name."));
        }
        if self.kind.namespaced {
            parameters.push(parameter("namespace", "The object's namespace."));
        }
        let pretty = "If true, the answer is indented for people.";
        parameters.push(self.dialect.parameter("pretty", "query", "string", pretty));
        Map::from_iter([("parameters".to_owned(), parameters.into())])
    }

    fn operation(&self, deed: &Deed, gvk: Value, suffix: &str) -> Value {
        let group = title(short_group(&self.kind.group));
        let tag = format!(
            "{}{}_{}",
            group.get(..1).unwrap_or_default().to_lowercase(),
            group.get(1..).unwrap_or_default(),
            self.kind.version
        );
        let what =
            if suffix.is_empty() { self.kind.kind.to_string() } else { format!("{} ({suffix})", self.kind.kind) };
        let mut operation = json!({
            "description": format!("{} {what}", deed.title),
            "operationId": self.id(deed.title, suffix),
            "tags": [tag],
            "parameters": [],
            "x-kubernetes-action": deed.action,
            "x-kubernetes-group-version-kind": gvk,
        });
        if self.dialect == Dialect::V2 {
            set(&mut operation, "produces", json!(MEDIA));
            set(&mut operation, "consumes", json!(["*/*"]));
            set(&mut operation, "schemes", json!(["https"]));
        }
        operation
    }

    /// `readAppsV1NamespacedDeploymentStatus`, `deleteCoreV1CollectionNamespacedPod`.
    fn id(&self, verb: &str, suffix: &str) -> String {
        let (verb, detail) = match verb {
            "deleteCollection" => ("delete", "Collection"),
            "connectGet" => ("connect", "Get"),
            "connectPost" => ("connect", "Post"),
            verb => (verb, ""),
        };
        let namespaced = if self.kind.namespaced && suffix != "ForAllNamespaces" { "Namespaced" } else { "" };
        let group = title(short_group(&self.kind.group));
        let version = title(&self.kind.version);
        format!("{verb}{group}{version}{detail}{namespaced}{}{suffix}", self.kind.kind)
    }

    fn add_parameters(&self, operation: &mut Value, parameters: &[Parameter]) {
        if let Some(list) = operation.get_mut("parameters").and_then(Value::as_array_mut) {
            for (name, type_, text) in parameters {
                if !list.iter().any(|known| known.get("name").and_then(Value::as_str) == Some(name)) {
                    list.push(self.dialect.parameter(name, "query", type_, text));
                }
            }
        }
    }

    fn add_responses(&self, operation: &mut Value, definition: &str, codes: &[&str]) {
        let description = |code: &str| match code {
            "201" => "Created",
            "202" => "Accepted",
            _ => "OK",
        };
        let response = |code: &&str| self.dialect.response(description(code), Some(definition), MEDIA);
        let responses: Map<_, _> = codes.iter().map(|code| ((*code).to_owned(), response(code))).collect();
        set(operation, "responses", responses);
    }

    fn gvk(&self) -> Value {
        json!({"group": self.kind.group, "version": self.kind.version, "kind": self.kind.kind})
    }
}

/// The definition of what is sent to or read from a subresource.
pub(super) fn body_definition(kind: &Kind, subresource: &Subresource) -> String {
    let (group, version, body) = &subresource.body;
    if *group == kind.group && *version == kind.version && *body == kind.kind {
        return kind.definition.to_string();
    }
    let package = match short_group(group) {
        "" => "core",
        short => short.split('.').next().unwrap_or("core"),
    };
    format!("io.k8s.api.{package}.{version}.{body}")
}

fn short_group(group: &str) -> &str {
    if group.is_empty() { "core" } else { group.strip_suffix(".k8s.io").unwrap_or(group) }
}

/// `rbac.authorization` as part of a name: `RbacAuthorization`.
fn title(text: &str) -> String {
    let words = text.split(['.', '-']).map(|word| {
        let mut letters = word.chars();
        letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
    });
    words.collect()
}
