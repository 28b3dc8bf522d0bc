//! What wakes the objects of a controller.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use coracle_core::object::controller_of;
use coracle_core::{Event, GroupResource, ObjectKey, Resource, World};

type Concerns = Box<dyn Fn(&Event) -> bool + Send + Sync>;
type Wake = Box<dyn Fn(&Event, &World) -> Vec<ObjectKey> + Send + Sync>;

/// Which changes of other objects wake which objects of kind `K`. Changes of a `K` wake that `K`, too.
pub struct Watches<K> {
    wakes: BTreeMap<Option<GroupResource>, Vec<Wake>>,
    /// Which changes of a `K` itself matter; `None` if all do.
    own: Option<Concerns>,
    kind: PhantomData<fn() -> K>,
}

impl<K: Resource> Watches<K> {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self { wakes: BTreeMap::new(), own: None, kind: PhantomData }
    }

    /// Only these changes of a `K` wake that `K`, told by the version before, if there was one, and the new one; its end wakes
    /// nobody. For controllers of a busy kind that have to do with few of its changes.
    pub fn only(&mut self, concerns: impl Fn(Option<&K>, &K) -> bool + Send + Sync + 'static) -> &mut Self {
        self.own = Some(Box::new(move |event| {
            let before = event.previous.as_ref().and_then(|previous| previous.get());
            !event.deleted && event.object.get().is_some_and(|after| concerns(before, after))
        }));
        self
    }

    /// Objects of type `D` that a `K` controls (an owner reference with `controller: true`) wake that `K`. A change of the
    /// controller wakes both the former and the new one.
    pub fn owned<D: Resource>(&mut self) -> &mut Self {
        self.on(Some(GroupResource::of::<D>()), |event, world| {
            versions(event)
                .filter_map(|object| controller_of(object.metadata()))
                .filter_map(|owner| world.by_uid(&owner.uid))
                .filter(|owner| owner.kind().storage == GroupResource::of::<K>())
                .map(|owner| owner.key())
                .collect()
        })
    }

    /// Objects of type `D` wake those that `find` names; asked for the new version and for the one before.
    pub fn map<D: Resource>(
        &mut self,
        find: impl Fn(&D, &World) -> Vec<ObjectKey> + Send + Sync + 'static,
    ) -> &mut Self {
        self.on(Some(GroupResource::of::<D>()), move |event, world| {
            versions(event).filter_map(|object| object.get()).flat_map(|object| find(object, world)).collect()
        })
    }

    /// Changes of type `D` wake those that `find` names; asked once per change, for decisions that compare both versions.
    pub fn changes<D: Resource>(
        &mut self,
        find: impl Fn(&Event, &World) -> Vec<ObjectKey> + Send + Sync + 'static,
    ) -> &mut Self {
        self.on(Some(GroupResource::of::<D>()), find)
    }

    /// Any change in the cluster wakes those that `find` names.
    pub fn any(&mut self, find: impl Fn(&Event, &World) -> Vec<ObjectKey> + Send + Sync + 'static) -> &mut Self {
        self.on(None, find)
    }

    /// The collections whose changes matter; `None` if all do.
    #[must_use]
    pub fn collections(&self) -> Option<Vec<GroupResource>> {
        let mut collections: Vec<_> = self.wakes.keys().cloned().collect::<Option<_>>()?;
        let own = GroupResource::of::<K>();
        if !collections.contains(&own) {
            collections.push(own);
        }
        Some(collections)
    }

    /// The keys that a change wakes, with repetitions.
    pub fn keys(&self, event: &Event, world: &World, out: &mut Vec<ObjectKey>) {
        let collection = &event.object.kind().storage;
        let concerns = || self.own.as_ref().is_none_or(|concerns| concerns(event));
        if *collection == GroupResource::of::<K>() && concerns() {
            out.push(event.object.key());
        }
        let own = self.wakes.get(&Some(collection.clone())).into_iter().flatten();
        let any = self.wakes.get(&None).into_iter().flatten();
        own.chain(any).for_each(|wake| out.extend(wake(event, world)));
    }

    fn on(
        &mut self,
        collection: Option<GroupResource>,
        wake: impl Fn(&Event, &World) -> Vec<ObjectKey> + Send + Sync + 'static,
    ) -> &mut Self {
        self.wakes.entry(collection).or_default().push(Box::new(wake));
        self
    }
}

impl<K: Resource> Default for Watches<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K> fmt::Debug for Watches<K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.wakes.keys()).finish()
    }
}

fn versions(event: &Event) -> impl Iterator<Item = &coracle_core::Object> {
    [Some(&*event.object), event.previous.as_deref()].into_iter().flatten()
}
