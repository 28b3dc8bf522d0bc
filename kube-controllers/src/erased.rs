//! Any controller behind one face, so that one driver runs them all.

use async_trait::async_trait;
use coracle_core::{Event, GroupResource, ObjectRef, Resource, World};

use crate::context::Context;
use crate::controller::{Controller, Error, Next};
use crate::watches::Watches;

/// A controller whose kind is known only at run time, or that is about every kind.
#[async_trait]
pub trait ErasedController: Send + Sync + 'static {
    /// The name in logs and events.
    fn name(&self) -> &'static str;

    /// The collections whose changes [`ErasedController::keys`] wants to hear of; `None` for all.
    fn collections(&self) -> Option<Vec<GroupResource>>;

    /// The places to look at when the driver starts, or has fallen behind the changes.
    fn all(&self, world: &World, out: &mut Vec<ObjectRef>);

    /// The places that a change wakes. May name a place more than once.
    fn keys(&self, event: &Event, world: &World, out: &mut Vec<ObjectRef>);

    /// Takes what is at one place a step further, whether or not there still is something.
    ///
    /// # Errors
    /// Any error makes the driver try again later, with growing delay.
    async fn reconcile(&self, at: &ObjectRef, context: &Context) -> Result<Next, Error>;
}

/// A controller as the driver runs it.
#[must_use]
pub fn erase<C: Controller>(controller: C) -> Box<dyn ErasedController> {
    let mut watches = Watches::new();
    controller.watches(&mut watches);
    Box::new(Erased { controller, watches })
}

struct Erased<C: Controller> {
    controller: C,
    watches: Watches<C::Kind>,
}

#[async_trait]
impl<C: Controller> ErasedController for Erased<C> {
    fn name(&self) -> &'static str {
        self.controller.name()
    }

    fn collections(&self) -> Option<Vec<GroupResource>> {
        self.watches.collections()
    }

    fn all(&self, world: &World, out: &mut Vec<ObjectRef>) {
        out.extend(world.objects(&collection::<C::Kind>()).map(|object| object.reference()));
    }

    fn keys(&self, event: &Event, world: &World, out: &mut Vec<ObjectRef>) {
        let mut keys = Vec::new();
        self.watches.keys(event, world, &mut keys);
        keys.sort_unstable();
        keys.dedup();
        out.extend(keys.into_iter().map(|key| ObjectRef { resource: collection::<C::Kind>(), key }));
    }

    async fn reconcile(&self, at: &ObjectRef, context: &Context) -> Result<Next, Error> {
        let object = context.world().at(at).and_then(|object| object.shared());
        match object {
            Some(object) => self.controller.reconcile(object, context).await,
            None => self.controller.gone(&at.key, context).await,
        }
    }
}

fn collection<K: Resource>() -> GroupResource {
    GroupResource::of::<K>()
}
