//! A copy of the world that is brought forward change by change: as late as the simulation wants, and at every revision.

use std::sync::{Arc, Mutex, PoisonError};

use coracle_core::{Event, Feed, GroupResource, Revision, Subscription, World};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

/// A feed behind another one, as a watch over a network is behind the API server.
pub(super) struct Replica {
    source: Arc<Feed>,
    feed: Arc<Feed>,
    position: Mutex<Position>,
}

struct Position {
    world: World,
    changes: Subscription,
}

impl Replica {
    pub(super) fn of(source: &Arc<Feed>) -> Self {
        let (world, changes) = source.follow(None);
        let world = World::clone(&world);
        let feed = Arc::new(Feed::new(world.clone()));
        Self { source: source.clone(), feed, position: Mutex::new(Position { world, changes }) }
    }

    pub(super) fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    /// Takes in every change up to a revision.
    pub(super) fn catch_up(&self, to: Revision) {
        let mut position = self.position.lock().unwrap_or_else(PoisonError::into_inner);
        let mut events = Vec::new();
        while position.world.revision() < to {
            match position.changes.ready(1) {
                Ok(change) if change.is_empty() => break,
                Ok(change) => {
                    for event in change {
                        advance(&mut position.world, &event, &self.source);
                        events.push((*event).clone());
                    }
                }
                Err(_lagged) => {
                    let (world, changes) = self.source.follow(None);
                    *position = Position { world: World::clone(&world), changes };
                    self.feed.publish(position.world.clone(), Vec::new());
                    return self.feed.forget();
                }
            }
        }
        if !events.is_empty() {
            self.feed.publish(position.world.clone(), events);
        }
    }
}

/// Takes one change into a world.
pub(super) fn advance(world: &mut World, event: &Event, source: &Feed) {
    let object = &event.object;
    if object.kind().storage == GroupResource::of::<CustomResourceDefinition>() {
        world.set_kinds(source.world().kinds().clone());
    }
    if event.deleted {
        world.remove(&object.kind().storage, &object.key(), event.revision);
    } else {
        world.put(object.clone());
    }
}
