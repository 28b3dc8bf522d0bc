//! Which objects of a collection are meant, and the shortest way to them.

use std::cmp::Ordering;
use std::sync::Arc;

use coracle_core::selector::{FieldRequirement, Selector};
use coracle_core::{Kind, Object, ObjectKey, Status, World};

use super::fields::{self, Getter};
use super::options::ListOptions;

/// The objects of one kind that a list or watch is about. Prepared once, asked often.
#[derive(Clone, Debug)]
pub struct Selection {
    kind: Arc<Kind>,
    namespace: String,
    labels: Selector,
    fields: Vec<(Getter, FieldRequirement)>,
    name: Option<String>,
    node: Option<String>,
}

impl Selection {
    /// The objects of a kind in a namespace (all namespaces if empty) that the options choose.
    ///
    /// # Errors
    /// 400 if the kind has no such field to select by.
    pub fn new(kind: Arc<Kind>, namespace: &str, options: &ListOptions) -> Result<Self, Status> {
        let mut chosen = Vec::new();
        for requirement in options.fields.requirements() {
            chosen.push((fields::getter(&kind, &requirement.path)?, requirement.clone()));
        }
        let required = |path| options.fields.require(path).map(str::to_owned);
        let namespace = match required("metadata.namespace") {
            Some(required) if namespace.is_empty() && kind.namespaced => required,
            _ => namespace.to_owned(),
        };
        let is_pods = kind.storage.group.is_empty() && kind.storage.resource == "pods";
        let node = required("spec.nodeName").filter(|node| is_pods && !node.is_empty());
        let name = required("metadata.name");
        Ok(Self { kind, namespace, labels: options.labels.clone(), fields: chosen, name, node })
    }

    /// The kind, in the version asked.
    #[must_use]
    pub fn kind(&self) -> &Arc<Kind> {
        &self.kind
    }

    /// The namespace; empty for all.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Whether labels or fields narrow the choice.
    #[must_use]
    pub fn is_narrowed(&self) -> bool {
        !self.labels.is_everything() || !self.fields.is_empty()
    }

    /// Whether an object of the kind is meant.
    #[must_use]
    pub fn matches(&self, object: &Object) -> bool {
        (self.namespace.is_empty() || object.namespace() == self.namespace)
            && (self.labels.is_everything() || self.labels.matches_optional(object.metadata().labels.as_ref()))
            && self.fields.iter().all(|(getter, requirement)| {
                let value = getter.text(object);
                (value.as_deref().unwrap_or("") == requirement.value) == requirement.equal
            })
    }

    /// The objects in the world that may be meant, in key order, from the first that is not before `start`.
    pub(super) fn candidates<'a>(
        &'a self,
        world: &'a World,
        start: &'a str,
    ) -> Box<dyn Iterator<Item = &'a Arc<Object>> + 'a> {
        let storage = &self.kind.storage;
        if let Some(name) = self.single() {
            let key = ObjectKey::new(&self.namespace, name);
            return Box::new(world.object(storage, key.as_str()).into_iter());
        }
        match &self.node {
            Some(node) => Box::new(world.pods_on(node).filter(move |pod| compare_key(pod, start) != Ordering::Less)),
            None => Box::new(world.objects_from(storage, &self.namespace, start)),
        }
    }

    /// How many candidates the world has from the beginning, if that is known without counting.
    pub(super) fn count(&self, world: &World) -> Option<u64> {
        let is_everything = self.namespace.is_empty() && !self.is_narrowed();
        is_everything.then(|| world.count(&self.kind.storage) as u64)
    }

    /// The name, if only one object can be meant.
    fn single(&self) -> Option<&str> {
        let placed = !self.kind.namespaced || !self.namespace.is_empty();
        self.name.as_deref().filter(|_| placed)
    }
}

/// Where an object's key stands to a key text, in the store's order.
pub(super) fn compare_key(object: &Object, text: &str) -> Ordering {
    let (namespace, slash) = if object.namespace().is_empty() { ("", "") } else { (object.namespace(), "/") };
    namespace.bytes().chain(slash.bytes()).chain(object.name().bytes()).cmp(text.bytes())
}
