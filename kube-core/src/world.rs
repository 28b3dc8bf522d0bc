//! The read side: every object of the cluster at one revision, as a value.
//!
//! A `World` is persistent: cloning it costs nanoseconds, and both copies can go their own way. The live cluster publishes a
//! new one for each batch of changes; a planner, a test and a "what if" each hold one and read it without locks.

use std::sync::Arc;

use imbl::OrdMap;

use crate::Revision;
use crate::kind::{GroupResource, Kinds};
use crate::object::{Object, ObjectKey, ObjectRef};
use crate::quota;
use crate::rbac::Bindings;
use crate::resource::Resource;

type Objects = OrdMap<ObjectKey, Arc<Object>>;

/// Every object at one revision, with indexes by collection, owner, uid, node and bound subject, and a count for each quota.
#[derive(Clone, Debug, Default)]
pub struct World {
    revision: Revision,
    kinds: Kinds,
    tables: OrdMap<GroupResource, Objects>,
    /// By uid of the owner, then by collection.
    dependents: OrdMap<Arc<str>, OrdMap<GroupResource, Objects>>,
    /// What nobody controls, of the collections in [`ADOPTABLE`].
    orphans: OrdMap<GroupResource, Objects>,
    uids: OrdMap<Arc<str>, ObjectRef>,
    pods_by_node: OrdMap<Arc<str>, Objects>,
    bindings: Bindings,
    quotas: quota::Ledger,
}

impl World {
    /// An empty world of these kinds.
    #[must_use]
    pub fn new(kinds: Kinds) -> Self {
        Self { kinds, ..Self::default() }
    }

    /// A world of built-in kinds that holds these objects, as tests want it. Each takes the next revision; an object without
    /// a uid gets its own place in the cluster as one.
    ///
    /// # Errors
    /// If an object cannot be encoded.
    pub fn of(objects: impl IntoIterator<Item = Object>) -> Self {
        let mut world = Self::new(Kinds::builtin());
        for object in objects {
            world.put(Arc::new(object));
        }
        world
    }

    /// Adds or replaces one typed object under the next revision, as tests want it.
    ///
    /// # Errors
    /// If the type is no kind of this world, or cannot be encoded.
    pub fn insert<K: Resource>(&mut self, mut object: K) -> Result<Arc<Object>, serde_json::Error> {
        use serde::ser::Error as _;
        let Some(kind) = self.kinds.of::<K>().cloned() else {
            return Err(serde_json::Error::custom(format!("{} is no kind of this world", K::kind(&()))));
        };
        object.metadata_mut().resource_version = None;
        if object.metadata().uid.is_none() {
            object.metadata_mut().uid = Some(ObjectRef::of(&object).to_string());
        }
        let stored = object.encode()?.into();
        let object = Arc::new(Object::committed(kind, Box::new(object), stored, self.revision.next()));
        self.put(object.clone());
        Ok(object)
    }

    /// The revision up to which this world has seen every change.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The kinds of this world.
    #[must_use]
    pub fn kinds(&self) -> &Kinds {
        &self.kinds
    }

    /// The same world with other kinds: how custom kinds come and go.
    pub fn set_kinds(&mut self, kinds: Kinds) {
        self.kinds = kinds;
    }

    /// Takes in a version of an object; returns the one it replaces.
    pub fn put(&mut self, object: Arc<Object>) -> Option<Arc<Object>> {
        self.reach(object.revision());
        let key = object.key();
        let table = self.tables.entry(object.kind().storage.clone()).or_default();
        let previous = table.insert(key.clone(), object.clone());
        self.index(&key, &object, previous.as_deref());
        self.bindings.replace(previous.as_deref(), Some(&object));
        self.count_quotas(previous.as_deref(), Some(&object));
        previous
    }

    /// Takes out an object at a revision; returns what it was.
    pub fn remove(&mut self, resource: &GroupResource, key: &ObjectKey, at: Revision) -> Option<Arc<Object>> {
        self.reach(at);
        let previous = self.tables.get_mut(resource)?.remove(key)?;
        self.unindex(key, &previous);
        self.bindings.replace(Some(&previous), None);
        self.count_quotas(Some(&previous), None);
        Some(previous)
    }

    /// Keeps up what is used of quotas.
    fn count_quotas(&mut self, previous: Option<&Object>, next: Option<&Arc<Object>>) {
        let Self { quotas, tables, .. } = self;
        quotas.replace(previous, next, |namespace| {
            let (start, end) = namespace_bounds(namespace);
            let inside = move |table| OrdMap::range(table, (start.clone(), end.clone()));
            tables.values().flat_map(inside).map(|(_, object)| object)
        });
    }

    /// Notes that everything up to a revision has been seen.
    pub fn reach(&mut self, revision: Revision) {
        self.revision = self.revision.max(revision);
    }

    /// One object by collection and key text (`namespace/name`, or `name`).
    #[must_use]
    pub fn object(&self, resource: &GroupResource, key: &str) -> Option<&Arc<Object>> {
        self.tables.get(resource)?.get(key)
    }

    /// The object at a place.
    #[must_use]
    pub fn at(&self, place: &ObjectRef) -> Option<&Arc<Object>> {
        self.object(&place.resource, place.key.as_str())
    }

    /// One object by type; `namespace` is empty for cluster-scoped kinds.
    #[must_use]
    pub fn get<K: Resource>(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        self.object(&GroupResource::of::<K>(), ObjectKey::new(namespace, name).as_str())?.shared()
    }

    /// All objects of a collection in key order.
    pub fn objects(&self, resource: &GroupResource) -> impl Iterator<Item = &Arc<Object>> + use<'_> {
        self.tables.get(resource).into_iter().flat_map(|table| table.values())
    }

    /// The objects of a collection in one namespace, in key order; all of them if `namespace` is empty.
    pub fn objects_in(
        &self,
        resource: &GroupResource,
        namespace: &str,
    ) -> impl Iterator<Item = &Arc<Object>> + use<'_> {
        self.objects_from(resource, namespace, "")
    }

    /// As [`World::objects_in`], from the first key that is not before `start`. Costs only what it passes.
    pub fn objects_from(
        &self,
        resource: &GroupResource,
        namespace: &str,
        start: &str,
    ) -> impl Iterator<Item = &Arc<Object>> + use<'_> {
        use std::ops::Bound::{Excluded, Included};
        let (mut first, end) = namespace_bounds(namespace);
        let is_within = match &first {
            Included(first) => start > first.as_str(),
            _ => !start.is_empty(),
        };
        if is_within {
            first = Included(ObjectKey::from(start));
        }
        // A map refuses a range that ends before it begins.
        let is_past = matches!((&first, &end), (Included(first), Excluded(end)) if first >= end);
        let table = self.tables.get(resource).filter(|_| !is_past);
        table.into_iter().flat_map(move |table| table.range((first.clone(), end.clone())).map(|(_, object)| object))
    }

    /// How many objects a collection holds.
    #[must_use]
    pub fn count(&self, resource: &GroupResource) -> usize {
        self.tables.get(resource).map_or(0, OrdMap::len)
    }

    /// All objects of a type.
    pub fn list<K: Resource>(&self) -> impl Iterator<Item = Arc<K>> + use<'_, K> {
        self.objects(&GroupResource::of::<K>()).filter_map(|object| object.shared())
    }

    /// The objects of a type in one namespace.
    pub fn list_in<K: Resource>(&self, namespace: &str) -> impl Iterator<Item = Arc<K>> + use<'_, K> {
        self.objects_in(&GroupResource::of::<K>(), namespace).filter_map(|object| object.shared())
    }

    /// Everything that names this uid as an owner.
    pub fn dependents(&self, uid: &str) -> impl Iterator<Item = &Arc<Object>> + use<'_> {
        self.dependents
            .get(uid)
            .into_iter()
            .flat_map(|collections| collections.values())
            .flat_map(|objects| objects.values())
    }

    /// The objects of a type that name this uid as an owner.
    pub fn owned_by<K: Resource>(&self, uid: &str) -> impl Iterator<Item = Arc<K>> + use<'_, K> {
        let objects = self.dependents.get(uid).and_then(|collections| collections.get(&GroupResource::of::<K>()));
        objects.into_iter().flat_map(|objects| objects.values()).filter_map(|object| object.shared())
    }

    /// The objects of a type in one namespace that no owner controls: what a controller may adopt. Costs only what it
    /// finds, for pods, ReplicaSets, ControllerRevisions and Jobs; a walk through the namespace for other types.
    pub fn orphans<K: Resource>(&self, namespace: &str) -> impl Iterator<Item = Arc<K>> + use<'_, K> {
        let resource = GroupResource::of::<K>();
        let objects = if is_adoptable(&resource) { self.orphans.get(&resource) } else { self.tables.get(&resource) };
        let bounds = namespace_bounds(namespace);
        let objects = objects.into_iter().flat_map(move |objects| objects.range(bounds.clone()));
        objects
            .map(|(_, object)| object)
            .filter(|object| object.controller().is_none())
            .filter_map(|object| object.shared())
    }

    /// The object with a uid. Events are not found so: there are more of them than of all else, and they own nothing.
    #[must_use]
    pub fn by_uid(&self, uid: &str) -> Option<&Arc<Object>> {
        self.at(self.uids.get(uid)?)
    }

    /// The pods bound to a node.
    pub fn pods_on(&self, node: &str) -> impl Iterator<Item = &Arc<Object>> + use<'_> {
        self.pods_by_node.get(node).into_iter().flat_map(|pods| pods.values())
    }

    /// The quotas of a namespace, and what is used of each. Costs nothing where there are none.
    pub fn quotas(&self, namespace: &str) -> impl Iterator<Item = &Arc<quota::Used>> + use<'_> {
        self.quotas.in_namespace(namespace).map(|(_, used)| used)
    }

    /// What is used of one quota, by key.
    #[must_use]
    pub fn quota(&self, key: &str) -> Option<&Arc<quota::Used>> {
        self.quotas.get(key)
    }

    /// The role bindings by whom they bind.
    pub(crate) fn bindings(&self) -> &Bindings {
        &self.bindings
    }

    /// Every collection that has ever held an object.
    pub fn resources(&self) -> impl Iterator<Item = &GroupResource> {
        self.tables.keys()
    }

    fn index(&mut self, key: &ObjectKey, object: &Arc<Object>, previous: Option<&Object>) {
        if let Some(previous) = previous.filter(|previous| !same_indexes(previous, object)) {
            self.unindex(key, previous);
        }
        let resource = &object.kind().storage;
        for owner in object.metadata().owner_references.iter().flatten() {
            let collections = self.dependents.entry(owner.uid.as_str().into()).or_default();
            collections.entry(resource.clone()).or_default().insert(key.clone(), object.clone());
        }
        if let Some(node) = node_of(object) {
            self.pods_by_node.entry(node.into()).or_default().insert(key.clone(), object.clone());
        }
        if is_orphan(object) {
            self.orphans.entry(resource.clone()).or_default().insert(key.clone(), object.clone());
        }
        if is_known_by_uid(resource) && previous.is_none_or(|previous| !same_indexes(previous, object)) {
            self.uids.insert(object.uid().into(), ObjectRef { resource: resource.clone(), key: key.clone() });
        }
    }

    fn unindex(&mut self, key: &ObjectKey, object: &Object) {
        let resource = &object.kind().storage;
        for owner in object.metadata().owner_references.iter().flatten() {
            let Some(collections) = self.dependents.get_mut(&*owner.uid) else { continue };
            remove_nested(collections, resource, key);
            if collections.is_empty() {
                self.dependents.remove(&*owner.uid);
            }
        }
        if let Some(node) = node_of(object) {
            remove_nested(&mut self.pods_by_node, node, key);
        }
        if is_orphan(object) {
            remove_nested(&mut self.orphans, resource, key);
        }
        if is_known_by_uid(resource) {
            self.uids.remove(object.uid());
        }
    }
}

/// Collections whose objects controllers look for to adopt.
const ADOPTABLE: [(&str, &str); 4] =
    [("", "pods"), ("apps", "replicasets"), ("apps", "controllerrevisions"), ("batch", "jobs")];

fn is_adoptable(resource: &GroupResource) -> bool {
    ADOPTABLE.iter().any(|(group, name)| resource.resource == *name && resource.group == *group)
}

fn is_orphan(object: &Object) -> bool {
    is_adoptable(&object.kind().storage) && object.controller().is_none()
}

fn is_known_by_uid(resource: &GroupResource) -> bool {
    resource.resource != *"events" || !resource.group.is_empty()
}

fn same_indexes(one: &Object, other: &Object) -> bool {
    one.uid() == other.uid()
        && node_of(one) == node_of(other)
        && one.metadata().owner_references == other.metadata().owner_references
}

fn node_of(object: &Object) -> Option<&str> {
    let pod = object.get::<k8s_openapi::api::core::v1::Pod>()?;
    pod.spec.as_ref()?.node_name.as_deref().filter(|node| !node.is_empty())
}

fn remove_nested<O, Q, K, V>(outer: &mut OrdMap<O, OrdMap<K, V>>, at: &Q, key: &K)
where
    O: Ord + Clone + std::borrow::Borrow<Q>,
    Q: Ord + ?Sized,
    K: Ord + Clone,
    V: Clone,
{
    let Some(inner) = outer.get_mut(at) else { return };
    inner.remove(key);
    if inner.is_empty() {
        outer.remove(at);
    }
}

/// All keys of a namespace sort between `namespace/` and `namespace0`, since `0` follows `/`.
pub(crate) fn namespace_bounds(namespace: &str) -> (std::ops::Bound<ObjectKey>, std::ops::Bound<ObjectKey>) {
    use std::ops::Bound::{Excluded, Included, Unbounded};
    if namespace.is_empty() {
        return (Unbounded, Unbounded);
    }
    let bound = |end: char| ObjectKey::from(format!("{namespace}{end}").as_str());
    (Included(bound('/')), Excluded(bound('0')))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{ConfigMap, Pod};
    use serde_json::json;

    use super::*;

    fn pod(namespace: &str, name: &str, owner: &str, node: &str) -> Pod {
        let owner = json!([{"apiVersion": "v1", "kind": "Test", "name": "owner", "uid": owner}]);
        let metadata = json!({"namespace": namespace, "name": name, "ownerReferences": owner});
        serde_json::from_value(json!({"metadata": metadata, "spec": {"nodeName": node, "containers": []}})).unwrap()
    }

    fn names(objects: impl Iterator<Item = Arc<Object>>) -> Vec<String> {
        objects.map(|object| object.key().to_string()).collect()
    }

    #[test]
    fn objects_are_found_by_place_namespace_owner_node_and_uid() {
        let mut world = World::new(Kinds::builtin());
        for (namespace, name, owner, node) in
            [("a", "1", "x", "n1"), ("a", "2", "y", "n1"), ("a-b", "1", "x", ""), ("b", "1", "x", "n2")]
        {
            world.insert(pod(namespace, name, owner, node)).unwrap();
        }
        let pods = GroupResource::of::<Pod>();
        assert_eq!(world.revision(), Revision(4));
        assert_eq!(names(world.objects_in(&pods, "a").cloned()), ["a/1", "a/2"]);
        assert_eq!(names(world.objects(&pods).cloned()), ["a-b/1", "a/1", "a/2", "b/1"]);
        assert_eq!(names(world.dependents("x").cloned()), ["a-b/1", "a/1", "b/1"]);
        assert_eq!(names(world.objects_from(&pods, "a", "a/1\0").cloned()), ["a/2"]);
        assert_eq!(names(world.objects_from(&pods, "a", "b/").cloned()), [""; 0]);
        assert_eq!(names(world.objects_from(&pods, "b", "a/").cloned()), ["b/1"]);
        assert_eq!(names(world.objects_from(&pods, "", "a/2").cloned()), ["a/2", "b/1"]);
        assert_eq!(names(world.pods_on("n1").cloned()), ["a/1", "a/2"]);
        assert_eq!(world.by_uid("pods/b/1").unwrap().namespace(), "b");
        assert!(world.get::<ConfigMap>("a", "1").is_none());
    }

    #[test]
    fn indexes_follow_every_change_and_a_copy_stays_as_it_was() {
        let mut world = World::new(Kinds::builtin());
        world.insert(pod("a", "1", "x", "")).unwrap();
        let before = world.clone();
        world.insert(pod("a", "1", "y", "n1")).unwrap();
        assert_eq!(names(world.dependents("x").cloned()), [""; 0]);
        assert_eq!(names(world.dependents("y").cloned()), ["a/1"]);
        assert_eq!(names(before.dependents("x").cloned()), ["a/1"]);
        assert_eq!(world.by_uid("pods/a/1").unwrap().revision(), Revision(2));
        let resource = GroupResource::of::<Pod>();
        let gone = world.remove(&resource, &"a/1".into(), Revision(9)).unwrap();
        assert_eq!(gone.revision(), Revision(2));
        assert!(world.by_uid("pods/a/1").is_none());
        assert_eq!(world.pods_on("n1").count() + world.dependents("y").count() + world.count(&resource), 0);
        assert_eq!(world.revision(), Revision(9));
    }

    #[test]
    fn orphans_are_what_nobody_controls() {
        let mut world = World::new(Kinds::builtin());
        let controlled = |controlled: bool| {
            let mut pod = pod("a", "1", "x", "");
            pod.metadata.owner_references.as_mut().unwrap()[0].controller = Some(controlled);
            pod
        };
        let orphans = |world: &World| world.orphans::<Pod>("a").count();
        world.insert(controlled(false)).unwrap();
        assert_eq!((orphans(&world), world.orphans::<Pod>("b").count()), (1, 0));
        world.insert(controlled(true)).unwrap();
        assert_eq!(orphans(&world), 0);
        world.insert(controlled(false)).unwrap();
        world.remove(&GroupResource::of::<Pod>(), &"a/1".into(), Revision(9));
        assert_eq!(orphans(&world), 0);
        let map: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "m", "namespace": "a"}})).unwrap();
        world.insert(map).unwrap();
        assert_eq!(world.orphans::<ConfigMap>("a").count(), 1, "kinds without an index are walked");
    }

    #[test]
    fn json_carries_the_revision_once() {
        let mut world = World::new(Kinds::builtin());
        let object = world.insert(pod("a", "1", "x", "")).unwrap();
        let read: serde_json::Value = serde_json::from_slice(&object.json()).unwrap();
        assert_eq!(read["metadata"]["resourceVersion"], "1");
        assert_eq!(read["metadata"]["name"], "1");
        assert_eq!(object.metadata().resource_version.as_deref(), Some("1"));
    }
}
