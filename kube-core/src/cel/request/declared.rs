//! What is declared of a request and of its namespace.

use std::sync::{Arc, LazyLock};

use crate::cel::{Form, ListKind, Shape};

fn of(form: Form) -> Arc<Shape> {
    Arc::new(Shape::new(form))
}

fn list(items: Arc<Shape>) -> Arc<Shape> {
    of(Form::List(items, ListKind::Atomic))
}

fn object(name: &str, strings: &[&str], others: Vec<(&str, Arc<Shape>)>) -> Arc<Shape> {
    let strings = strings.iter().map(|name| ((*name).to_owned(), of(Form::String)));
    let others = others.into_iter().map(|(name, shape)| (name.to_owned(), shape));
    Arc::new(Shape::object(name, strings.chain(others)))
}

/// `request`: the AdmissionRequest without its objects.
pub static REQUEST: LazyLock<Arc<Shape>> = LazyLock::new(|| {
    let kind = object("kubernetes.GroupVersionKind", &["group", "version", "kind"], Vec::new());
    let resource = object("kubernetes.GroupVersionResource", &["group", "version", "resource"], Vec::new());
    let strings = list(of(Form::String));
    let user = vec![("groups", strings.clone()), ("extra", of(Form::Map(strings)))];
    object(
        "kubernetes.AdmissionRequest",
        &["subResource", "requestSubResource", "name", "namespace", "operation"],
        vec![
            ("kind", kind.clone()),
            ("resource", resource.clone()),
            ("requestKind", kind),
            ("requestResource", resource),
            ("userInfo", object("kubernetes.UserInfo", &["username", "uid"], user)),
            ("dryRun", of(Form::Bool)),
            ("options", of(Form::Any)),
        ],
    )
});

/// `namespaceObject`: what expressions may know of the namespace.
pub static NAMESPACE: LazyLock<Arc<Shape>> = LazyLock::new(|| {
    let (strings, map) = (list(of(Form::String)), of(Form::Map(of(Form::String))));
    let condition = vec![("lastTransitionTime", of(Form::DateTime))];
    let condition = object("kubernetes.NamespaceCondition", &["status", "type", "message", "reason"], condition);
    let metadata = vec![
        ("labels", map.clone()),
        ("annotations", map),
        ("creationTimestamp", of(Form::DateTime)),
        ("deletionGracePeriodSeconds", of(Form::Int)),
        ("deletionTimestamp", of(Form::DateTime)),
        ("generation", of(Form::Int)),
        ("finalizers", strings.clone()),
    ];
    let names = ["name", "generateName", "namespace", "UID", "resourceVersion"];
    let status = vec![("conditions", list(condition))];
    object(
        "kubernetes.Namespace",
        &[],
        vec![
            ("metadata", object("kubernetes.NamespaceMetadata", &names, metadata)),
            ("spec", object("kubernetes.NamespaceSpec", &[], vec![("finalizers", strings)])),
            ("status", object("kubernetes.NamespaceStatus", &["phase"], status)),
        ],
    )
});
