//! Nobody uses more of a namespace than its quotas allow, however many ask at once.
//!
//! What is used is known exactly at every revision of the world. Between the verdict and the revision that has the change, the
//! change is reserved: under one lock a verdict takes the newest world, adds what others have reserved that this world does not
//! show yet, and reserves its own. So nothing is admitted twice, nothing is charged that is not made, and a refused or failed
//! change costs nothing. Several API servers over one store know nothing of each other's reservations: there a quota can be
//! exceeded by what is under way at the same moment.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use coracle_core::quota::{Amounts, Used};
use coracle_core::{AnyResource, ObjectKey, ObjectRef, Revision, Status, World};
use k8s_openapi::api::core::v1::Pod;

use super::{Admission, Attributes, Operation};

/// Source: `plugin/pkg/admission/resourcequota`.
#[derive(Debug, Default)]
pub struct ResourceQuotas(Arc<Reservations>);

#[derive(Debug, Default)]
struct Reservations(Mutex<Vec<Reservation>>);

/// A change that was allowed and is not in the world yet.
#[derive(Debug)]
struct Reservation {
    /// The same for all quotas that one change uses.
    ticket: Arc<()>,
    quota: ObjectKey,
    place: ObjectRef,
    /// The revision of the object that the change starts from.
    base: Revision,
    change: Amounts,
}

/// Gives the reservations of a change back when it is dropped.
struct Guard(Arc<Reservations>, Arc<()>);

#[async_trait]
impl Admission for ResourceQuotas {
    fn name(&self) -> &'static str {
        "ResourceQuota"
    }

    fn concerns(&self, attributes: &Attributes<'_>) -> bool {
        let below = &attributes.target.subresource;
        attributes.operation != Operation::Delete
            && (below.is_empty() || below == "resize")
            && attributes.world.quotas(&attributes.target.namespace).next().is_some()
    }

    async fn review(&self, attributes: &Attributes<'_>, object: Option<&dyn AnyResource>) -> Result<(), Status> {
        let Some(object) = object else { return Ok(()) };
        let mut reservations = self.0.lock();
        let world = attributes.feed.world();
        if let Some(pod) = object.as_any().downcast_ref::<Pod>() {
            for quota in world.quotas(&attributes.target.namespace) {
                if let Some(missing) = quota.missing(pod) {
                    return Err(attributes.forbid(format!("failed quota: {}: must specify {missing}", quota.name())));
                }
            }
        }
        let (ticket, mut mine) = (Arc::new(()), Vec::new());
        let key = ObjectKey::new(&attributes.target.namespace, object.metadata().name.as_deref().unwrap_or(""));
        let place = ObjectRef { resource: attributes.kind.storage.clone(), key };
        for quota in world.quotas(&attributes.target.namespace) {
            let change = growth(quota, attributes, object);
            if change.is_empty() {
                continue;
            }
            let reserved = pending(&reservations, quota, &world);
            quota.allow(&change, &reserved).map_err(|why| attributes.forbid(why))?;
            let base = attributes.old.map_or(Revision::ZERO, |old| old.revision());
            let (ticket, place) = (ticket.clone(), place.clone());
            mine.push(Reservation { ticket, quota: quota.key(), place, base, change });
        }
        if !mine.is_empty() && !attributes.options.dry_run {
            reservations.append(&mut mine);
            attributes.notes.hold(Guard(self.0.clone(), ticket));
        }
        Ok(())
    }
}

/// What a change uses more of than there was.
fn growth(quota: &Used, attributes: &Attributes<'_>, object: &dyn AnyResource) -> Amounts {
    let mut change = quota.of(&attributes.kind.storage, object.as_any());
    if let Some(old) = attributes.old {
        change.subtract(&quota.of_object(old));
    }
    change.retain(|_, amount| !amount.is_zero() && !amount.is_negative());
    change
}

/// What others have reserved of a quota and this world does not show yet.
fn pending(reservations: &[Reservation], quota: &Used, world: &World) -> Amounts {
    let mut pending = Amounts::default();
    let key = quota.key();
    let landed = |held: &&Reservation| world.at(&held.place).is_some_and(|object| object.revision() > held.base);
    let held = reservations.iter().filter(|held| held.quota == key);
    held.filter(|held| !landed(held)).for_each(|held| pending.add(&held.change));
    pending
}

impl Reservations {
    fn lock(&self) -> MutexGuard<'_, Vec<Reservation>> {
        // A list of reservations is whole at every point.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.lock().retain(|held| !Arc::ptr_eq(&held.ticket, &self.1));
    }
}
