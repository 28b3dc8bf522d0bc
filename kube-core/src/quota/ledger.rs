//! How much is used of each quota: kept up with every change of the world, never counted anew.
//!
//! A world without quotas pays nothing for it. What an object uses of a quota depends on nothing but the two, so a change adds
//! the difference between what its versions use; only a quota that is new, or limits something else than before, is counted
//! from all that its namespace holds.

use std::any::Any;
use std::sync::Arc;

use imbl::OrdMap;
use k8s_openapi::api::core::v1::{Pod, ResourceQuota, ResourceQuotaSpec};

use super::amounts::Amounts;
use super::{scope, usage};
use crate::kind::GroupResource;
use crate::object::{Object, ObjectKey};
use crate::quantity::Quantity;
use crate::world::namespace_bounds;

/// The quotas of a world, and what is used of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger(OrdMap<ObjectKey, Arc<Used>>);

/// One quota and what is used of it.
#[derive(Clone, Debug)]
pub struct Used {
    quota: Arc<Object>,
    hard: Amounts,
    used: Amounts,
}

impl Ledger {
    /// Takes in the next version of an object of any kind, or its absence; `all` finds everything in a namespace, the new
    /// version included.
    pub(crate) fn replace<'a, I: Iterator<Item = &'a Arc<Object>>>(
        &mut self,
        previous: Option<&Object>,
        next: Option<&Arc<Object>>,
        all: impl FnOnce(&str) -> I,
    ) {
        let quota = next.and_then(|next| next.get::<ResourceQuota>());
        if self.0.is_empty() && quota.is_none() {
            return;
        }
        let Some(object) = next.map(|next| &**next).or(previous) else { return };
        self.count(object.namespace(), previous, next.map(|next| &**next));
        match (quota, next) {
            (Some(quota), Some(next)) => {
                let key = next.key();
                let same = |used: &Arc<Used>| used.spec() == quota.spec.as_ref();
                if !self.0.get(&key).is_some_and(same) {
                    self.0.insert(key, Arc::new(Used::counted(next.clone(), all(next.namespace()))));
                }
            }
            (None, None) if object.get::<ResourceQuota>().is_some() => drop(self.0.remove(&object.key())),
            _ => {}
        }
    }

    fn count(&mut self, namespace: &str, previous: Option<&Object>, next: Option<&Object>) {
        let changes: Vec<_> = self
            .in_namespace(namespace)
            .filter_map(|(key, used)| {
                let of = |object: Option<&Object>| object.map_or_else(Amounts::default, |it| used.of_object(it));
                let mut change = of(next);
                change.subtract(&of(previous));
                change.retain(|_, amount| !amount.is_zero());
                (!change.is_empty()).then(|| (key.clone(), change))
            })
            .collect();
        for (key, change) in changes {
            if let Some(used) = self.0.get_mut(&key) {
                Arc::make_mut(used).used.add(&change);
            }
        }
    }

    pub(crate) fn in_namespace(&self, namespace: &str) -> impl Iterator<Item = (&ObjectKey, &Arc<Used>)> + use<'_> {
        let bounds = (!self.0.is_empty()).then(|| namespace_bounds(namespace));
        bounds.into_iter().flat_map(|bounds| self.0.range(bounds))
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Arc<Used>> {
        self.0.get(key)
    }
}

impl Used {
    fn counted<'a>(quota: Arc<Object>, all: impl Iterator<Item = &'a Arc<Object>>) -> Self {
        let spec = quota.get::<ResourceQuota>().and_then(|quota| quota.spec.as_ref());
        let hard = Amounts::of(spec.and_then(|spec| spec.hard.as_ref()));
        let mut used = Amounts::default();
        hard.iter().for_each(|(name, _)| used.set(name.to_owned(), Quantity::ZERO));
        let mut counted = Self { quota, hard, used };
        for object in all {
            let uses = counted.of_object(object);
            counted.used.add(&uses);
        }
        counted
    }

    fn spec(&self) -> Option<&ResourceQuotaSpec> {
        self.quota.get::<ResourceQuota>()?.spec.as_ref()
    }

    /// The name of the quota.
    #[must_use]
    pub fn name(&self) -> &str {
        self.quota.name()
    }

    /// The place of the quota.
    #[must_use]
    pub fn key(&self) -> ObjectKey {
        self.quota.key()
    }

    /// What the quota allows.
    #[must_use]
    pub const fn hard(&self) -> &Amounts {
        &self.hard
    }

    /// What is used, of exactly the resources that the quota limits.
    #[must_use]
    pub const fn used(&self) -> &Amounts {
        &self.used
    }

    /// What an object uses of this quota.
    #[must_use]
    pub fn of_object(&self, object: &Object) -> Amounts {
        self.of(&object.kind().storage, object.value().as_any())
    }

    /// What a value of a collection uses of this quota; nothing if the quota is not about it.
    #[must_use]
    pub fn of(&self, resource: &GroupResource, value: &dyn Any) -> Amounts {
        if !self.spec().is_some_and(|spec| scope::matches(spec, value)) {
            return Amounts::default();
        }
        let mut uses = usage::usage(resource, value);
        uses.retain(|name, _| self.hard.get(name).is_some());
        uses
    }

    /// What a pod must state to be counted by this quota, and does not.
    #[must_use]
    pub fn missing(&self, pod: &Pod) -> Option<String> {
        let spec = self.spec().filter(|spec| scope::matches(spec, pod))?;
        let limited = |name: &str| spec.hard.as_ref().is_some_and(|hard| hard.contains_key(name));
        usage::missing(pod, limited)
    }

    /// Whether there is room for a change, beside what others are about to use.
    ///
    /// # Errors
    /// What is exceeded, in upstream's words.
    pub fn allow(&self, change: &Amounts, reserved: &Amounts) -> Result<(), String> {
        let mut taken = self.used.clone();
        taken.add(reserved);
        let exceeds = |name: &str| {
            let amount = |amounts: &Amounts| amounts.get(name).unwrap_or_default();
            self.hard.get(name).is_some_and(|hard| amount(&taken) + amount(change) > hard)
        };
        let mut requested = change.clone();
        requested.retain(|name, amount| amount > Quantity::ZERO && exceeds(name));
        if requested.is_empty() {
            return Ok(());
        }
        let only = |amounts: &Amounts| {
            let mut amounts = amounts.clone();
            amounts.retain(|name, _| requested.get(name).is_some());
            amounts
        };
        let (used, limited) = (only(&taken), only(&self.hard));
        Err(format!("exceeded quota: {}, requested: {requested}, used: {used}, limited: {limited}", self.name()))
    }
}
