//! What expressions about requests may name. Source: apiserver `plugin/cel/compile.go`.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use coracle_core::cel::{Environment, Field, Form, ListKind, Shape, Type, Variable};

/// Which names there are beside `object`, `oldObject`, `namespaceObject` and `request`.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct Names<'a> {
    pub(in super::super) params: bool,
    pub(in super::super) authorizer: bool,
    /// The variables so far, with their types.
    pub(in super::super) variables: Option<&'a [super::Variable]>,
    /// Whether expressions make `Object{}` and `JSONPatch{}`.
    pub(in super::super) patches: bool,
}

impl Names<'_> {
    /// The order is that of [`super::Scene::inputs`]. What must not be named has no name.
    pub(super) fn environment(&self) -> Environment {
        let named = |is_there: bool, name: &'static str| if is_there { name } else { "" };
        let mut environment = Environment::new()
            .with("object", Variable::Of(Type::Dyn))
            .with("oldObject", Variable::Of(Type::Dyn))
            .with("namespaceObject", Variable::Declared(NAMESPACE.clone()))
            .with("request", Variable::Declared(REQUEST.clone()))
            .with(named(self.params, "params"), Variable::Of(Type::Dyn))
            .with(named(self.authorizer, "authorizer"), Variable::Authorizer)
            .with(named(self.authorizer, "authorizer.requestResource"), Variable::RequestResource);
        if let Some(variables) = self.variables {
            environment = environment.with("variables", Variable::Declared(Arc::new(declared(variables))));
        }
        if self.patches {
            environment = environment.with_message("Object").with_message("JSONPatch");
        }
        environment
    }
}

/// What an expression must come to.
#[derive(Clone, Copy, Debug)]
pub(in super::super) enum Returns {
    Anything,
    Bool,
    String,
    StringOrNull,
    /// `Object{}`: the checker knows no more than that it is made.
    Object,
    /// A list of `JSONPatch{}`.
    Patch,
}

impl Returns {
    /// Why a type will not do, if it will not.
    pub(super) fn refuse(self, type_: &Type) -> Option<String> {
        let (is_good, wanted) = match self {
            Self::Anything => return None,
            Self::Bool => (matches!(type_, Type::Bool), "bool"),
            Self::String => (matches!(type_, Type::String), "string"),
            Self::StringOrNull => (matches!(type_, Type::String | Type::Null), "[string null_type]"),
            Self::Object => (matches!(type_, Type::Dyn), "Object"),
            Self::Patch => (matches!(type_, Type::Dyn | Type::List(_)), "list(JSONPatch)"),
        };
        let many = if matches!(self, Self::StringOrNull) { "one of " } else { "" };
        (!is_good).then(|| format!("must evaluate to {many}{wanted} but got {type_}"))
    }
}

fn declared(variables: &[super::Variable]) -> Shape {
    let field = |variable: &super::Variable| {
        let shape = Arc::new(Shape::new(variable.type_of().map_or(Form::Any, form_of)));
        (variable.name.clone(), Field { name: variable.name.clone(), shape })
    };
    let fields: BTreeMap<String, Field> = variables.iter().map(field).collect();
    Shape::new(Form::Object("kubernetes.variables".into(), fields))
}

/// Values of some types have no declared form: they are anything.
fn form_of(type_: &Type) -> Form {
    let shape = |type_: &Type| Arc::new(Shape::new(form_of(type_)));
    match type_ {
        Type::Bool => Form::Bool,
        Type::Int => Form::Int,
        Type::Double => Form::Double,
        Type::String => Form::String,
        Type::Bytes => Form::Bytes,
        Type::Timestamp => Form::DateTime,
        Type::Duration => Form::Duration,
        Type::List(items) => Form::List(shape(items), ListKind::Atomic),
        Type::Map(both) if matches!(both.0, Type::String) => Form::Map(shape(&both.1)),
        _ => Form::Any,
    }
}

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

pub(super) static REQUEST: LazyLock<Arc<Shape>> = LazyLock::new(|| {
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

pub(super) static NAMESPACE: LazyLock<Arc<Shape>> = LazyLock::new(|| {
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
