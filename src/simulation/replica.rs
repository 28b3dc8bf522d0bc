//! A copy of the world that is brought forward change by change: as late as the simulation wants, and at every revision.

use std::sync::{Arc, Mutex, PoisonError};

use coracle_core::{Event, Feed, GroupResource, Lagged, Revision, Subscription, World};
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
        if position.world.revision() >= to {
            return;
        }
        let newest = self.source.world();
        let caught_up = if to == newest.revision() {
            // Nothing is to be worked out again: the world at this revision is there.
            position.changes.ready(usize::MAX).inspect(|_| position.world = World::clone(&newest))
        } else {
            position.step(to, &self.source)
        };
        match caught_up {
            Ok(events) => {
                let events = events.iter().map(|event| Event::clone(event)).collect();
                self.feed.publish(position.world.clone(), events);
            }
            Err(_lagged) => {
                let (world, changes) = self.source.follow(None);
                *position = Position { world: World::clone(&world), changes };
                self.feed.publish(position.world.clone(), Vec::new());
                self.feed.forget();
            }
        }
    }
}

impl Position {
    /// Goes on to a revision that others have left behind already, change by change.
    fn step(&mut self, to: Revision, source: &Feed) -> Result<Vec<Arc<Event>>, Lagged> {
        let mut events = Vec::new();
        while self.world.revision() < to {
            let change = self.changes.ready(1)?;
            if change.is_empty() {
                break;
            }
            change.iter().for_each(|event| advance(&mut self.world, event, source));
            events.extend(change);
        }
        Ok(events)
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
