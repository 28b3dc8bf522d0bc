//! Volumes that are made for claims, follow their size, and go with them. Source: `sig-storage-lib-external-provisioner`.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use coracle_core::event::reference_to;
use coracle_core::request::Target;
use coracle_core::volume::{
    PROVISIONED_BY, PROVISIONER, STORAGE, claim_of, class_of, is_bound, requested, selected_node, volume_of,
};
use coracle_core::{Request, Severity, Status};
use k8s_openapi::api::core::v1::{Node, PersistentVolume, PersistentVolumeClaim, PersistentVolumeSpec};
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{edit, place_of, volume_phase};
use crate::context::Context;
use crate::controller::{Controller, Error, Next};
use crate::watches::Watches;

/// Makes volumes for the claims of StorageClasses that name it. A call may come again for what was done already.
#[async_trait]
pub trait Provisioner: Send + Sync + 'static {
    /// What classes call it. Source: storage/v1 StorageClass.provisioner.
    fn name(&self) -> &str;

    /// Makes a volume: says where it is and which nodes can use it. Everything else of the spec is filled in afterwards.
    ///
    /// # Errors
    /// If it cannot be made: the claim says so in an event, and it is tried again later.
    async fn provision(&self, wish: &VolumeWish) -> Result<PersistentVolumeSpec, Status>;

    /// Removes what the volume holds.
    ///
    /// # Errors
    /// If it cannot be removed: the volume says so in an event, and it is tried again later.
    async fn delete(&self, volume: &PersistentVolume) -> Result<(), Status>;

    /// Makes a volume larger; nothing to do by default.
    ///
    /// # Errors
    /// If it cannot grow: the claim keeps its size, and it is tried again later.
    async fn expand(&self, volume: &PersistentVolume) -> Result<(), Status> {
        let _ = volume;
        Ok(())
    }
}

/// A volume that somebody needs.
#[derive(Clone, Debug)]
pub struct VolumeWish {
    /// The name that the volume will have: `pvc-<uid of the claim>`.
    pub name: String,
    /// For whom.
    pub claim: Arc<PersistentVolumeClaim>,
    /// How.
    pub class: Arc<StorageClass>,
    /// For which node; `None` if the class does not wait for pods.
    pub node: Option<Arc<Node>>,
}

/// Has volumes made and enlarged for claims.
pub struct Provisioning(Vec<Arc<dyn Provisioner>>);

/// Has volumes removed whose claims are gone.
pub struct Reclaiming(Vec<Arc<dyn Provisioner>>);

impl Provisioning {
    /// For the claims of these provisioners.
    #[must_use]
    pub fn new(provisioners: Vec<Arc<dyn Provisioner>>) -> Self {
        Self(provisioners)
    }
}

impl Reclaiming {
    /// For the volumes of these provisioners.
    #[must_use]
    pub fn new(provisioners: Vec<Arc<dyn Provisioner>>) -> Self {
        Self(provisioners)
    }
}

#[async_trait]
impl Controller for Provisioning {
    type Kind = PersistentVolumeClaim;

    fn name(&self) -> &'static str {
        "volume-provisioner"
    }

    fn watches(&self, on: &mut Watches<PersistentVolumeClaim>) {
        on.map::<StorageClass>(|class, world| {
            let claims = world.list::<PersistentVolumeClaim>();
            let of_class =
                claims.filter(|claim| !is_bound(claim) && Some(class_of(claim)) == class.metadata.name.as_deref());
            of_class.map(|claim| coracle_core::ObjectKey::of(&claim.metadata)).collect()
        });
    }

    async fn reconcile(&self, claim: Arc<PersistentVolumeClaim>, context: &Context) -> Result<Next, Error> {
        if claim.metadata.deletion_timestamp.is_some() {
            return Ok(Next::default());
        }
        if is_bound(&claim) {
            return self.expand(&claim, context).await;
        }
        let Some((provisioner, wish)) = self.wish(&claim, context) else { return Ok(Next::default()) };
        let note = format!("External provisioner is provisioning volume for claim {:?}", place_of(&claim));
        context.event(&*claim, Severity::Normal, "Provisioning", note);
        match provisioner.provision(&wish).await {
            Ok(spec) => {
                let note = format!("Successfully provisioned volume {}", wish.name);
                match context.create(volume(provisioner, &wish, spec)).await {
                    Ok(_) => context.event(&*claim, Severity::Normal, "ProvisioningSucceeded", note),
                    Err(error) if error.is_stale() => {}
                    Err(error) => return Err(error),
                }
                Ok(Next::default())
            }
            Err(status) => {
                let class = class_of(&claim);
                let note = format!("failed to provision volume with StorageClass {class:?}: {}", status.message());
                context.event(&*claim, Severity::Warning, "ProvisioningFailed", note);
                Err(status.into())
            }
        }
    }
}

impl Provisioning {
    /// What to make for a claim that the binding controller has handed over, once a node is known if there must be one.
    fn wish(&self, claim: &Arc<PersistentVolumeClaim>, context: &Context) -> Option<(&dyn Provisioner, VolumeWish)> {
        let asked = claim.metadata.annotations.as_ref()?.get(PROVISIONER)?;
        let provisioner = named(&self.0, asked).filter(|_| volume_of(claim).is_empty())?;
        let world = context.world();
        let class = world.get::<StorageClass>("", class_of(claim)).filter(|class| class.provisioner == *asked)?;
        let name = format!("pvc-{}", claim.metadata.uid.as_deref()?);
        if world.get::<PersistentVolume>("", &name).is_some() {
            return None;
        }
        let node = match selected_node(claim) {
            Some(name) => Some(world.get::<Node>("", name)?),
            None => None,
        };
        Some((provisioner, VolumeWish { name, claim: claim.clone(), class, node }))
    }

    /// The volume gets as large as its claim asks, then the claim says so.
    async fn expand(&self, claim: &PersistentVolumeClaim, context: &Context) -> Result<Next, Error> {
        let has = claim.status.as_ref().and_then(|status| status.capacity.as_ref()?.get(STORAGE));
        let has = has.and_then(|size| size.try_into().ok()).unwrap_or_default();
        if claim.status.as_ref().and_then(|status| status.phase.as_deref()) != Some("Bound") || requested(claim) <= has
        {
            return Ok(Next::default());
        }
        let Some(volume) = context.get::<PersistentVolume>("", volume_of(claim)) else { return Ok(Next::default()) };
        let Some(provisioner) = maker(&self.0, &volume) else {
            let note = "waiting for an external controller to expand this PVC";
            context.event(claim, Severity::Normal, "ExternalExpanding", note);
            return Ok(Next::default());
        };
        let requests = claim.spec.as_ref().and_then(|spec| spec.resources.as_ref()?.requests.as_ref());
        let Some(size) = requests.and_then(|requests| requests.get(STORAGE)).cloned() else {
            return Ok(Next::default());
        };
        let grown = size.clone();
        let grow = edit(&*volume, move |volume: &mut PersistentVolume| {
            let capacity = &mut volume.spec.get_or_insert_default().capacity;
            capacity.get_or_insert_default().insert(STORAGE.to_owned(), grown.clone());
        });
        let note = format!("External resizer is resizing volume {}", volume_of(claim));
        context.event(claim, Severity::Normal, "Resizing", note);
        if let Err(status) = provisioner.expand(&volume).await {
            let (volume, resizer) = (volume_of(claim), provisioner.name());
            let note = format!("resize volume {volume:?} by resizer {resizer:?} failed: {}", status.message());
            context.event(claim, Severity::Warning, "VolumeResizeFailed", note);
            return Err(status.into());
        }
        context.execute(grow).await?;
        let note = Request::edit(Target::of(claim).below("status"), move |claim: &mut PersistentVolumeClaim| {
            let capacity = &mut claim.status.get_or_insert_default().capacity;
            capacity.get_or_insert_default().insert(STORAGE.to_owned(), size.clone());
            Ok(())
        });
        context.execute(note).await?;
        context.event(claim, Severity::Normal, "VolumeResizeSuccessful", "Resize volume succeeded");
        Ok(Next::default())
    }
}

#[async_trait]
impl Controller for Reclaiming {
    type Kind = PersistentVolume;

    fn name(&self) -> &'static str {
        "volume-reclaimer"
    }

    async fn reconcile(&self, volume: Arc<PersistentVolume>, context: &Context) -> Result<Next, Error> {
        let policy = volume.spec.as_ref().and_then(|spec| spec.persistent_volume_reclaim_policy.as_deref());
        let goes = volume_phase(&volume) == "Released" && policy == Some("Delete") && claim_of(&volume).is_some();
        let Some(provisioner) = maker(&self.0, &volume).filter(|_| goes) else { return Ok(Next::default()) };
        if volume.metadata.deletion_timestamp.is_some() {
            return Ok(Next::default());
        }
        if let Err(status) = provisioner.delete(&volume).await {
            context.event(&*volume, Severity::Warning, "VolumeFailedDelete", status.message());
            return Err(status.into());
        }
        context.delete(&*volume).await?;
        Ok(Next::default())
    }
}

fn volume(provisioner: &dyn Provisioner, wish: &VolumeWish, mut spec: PersistentVolumeSpec) -> PersistentVolume {
    let asked = wish.claim.spec.clone().unwrap_or_default();
    let size = asked.resources.and_then(|resources| resources.requests).unwrap_or_default().remove(STORAGE);
    spec.capacity = size.map(|size| [(STORAGE.to_owned(), size)].into());
    spec.access_modes = asked.access_modes;
    spec.volume_mode = asked.volume_mode;
    spec.storage_class_name = asked.storage_class_name;
    spec.persistent_volume_reclaim_policy = wish.class.reclaim_policy.clone();
    spec.mount_options.clone_from(&wish.class.mount_options);
    spec.claim_ref = Some(reference_to(&*wish.claim));
    let annotations = Some([(PROVISIONED_BY.to_owned(), provisioner.name().to_owned())].into());
    let metadata = ObjectMeta { name: Some(wish.name.clone()), annotations, ..ObjectMeta::default() };
    PersistentVolume { metadata, spec: Some(spec), ..PersistentVolume::default() }
}

fn named<'p>(provisioners: &'p [Arc<dyn Provisioner>], name: &str) -> Option<&'p dyn Provisioner> {
    provisioners.iter().map(|provisioner| &**provisioner).find(|provisioner| provisioner.name() == name)
}

/// Who made a volume.
fn maker<'p>(provisioners: &'p [Arc<dyn Provisioner>], volume: &PersistentVolume) -> Option<&'p dyn Provisioner> {
    named(provisioners, volume.metadata.annotations.as_ref()?.get(PROVISIONED_BY)?)
}

impl fmt::Debug for Provisioning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Provisioning")
    }
}

impl fmt::Debug for Reclaiming {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Reclaiming")
    }
}
