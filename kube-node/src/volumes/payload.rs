//! The files of a volume made from objects. Pure. Source: kubelet volume plugins `configmap`, `secret`, `downwardapi`, `projected`.

use std::collections::BTreeMap;

use coracle_core::World;
use k8s_openapi::api::core::v1::{
    ConfigMap, ConfigMapVolumeSource, DownwardAPIVolumeFile, DownwardAPIVolumeSource, KeyToPath, Pod,
    ProjectedVolumeSource, Secret, SecretVolumeSource, ServiceAccountTokenProjection, VolumeProjection,
};

use super::token::TokenWish;
use crate::environment::{config_map, secret};
use crate::pod::field::{self, Surroundings};

/// The mode of files without one. Source: core/v1 ConfigMapVolumeSource.defaultMode.
const MODE_DEFAULT: u32 = 0o644;

/// A file of a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its content.
    pub data: Vec<u8>,
    /// Its permission bits.
    pub mode: u32,
}

/// The files of a volume by path, and the tokens that are still to be had.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payload {
    /// By path within the volume.
    pub files: BTreeMap<String, File>,
    /// Tokens to be asked for; each becomes a file.
    pub tokens: Vec<TokenWish>,
}

pub(super) struct Sources<'a> {
    pub(super) pod: &'a Pod,
    pub(super) world: &'a World,
    pub(super) around: &'a Surroundings<'a>,
}

type Data = BTreeMap<String, Vec<u8>>;
type Files = BTreeMap<String, File>;

impl Sources<'_> {
    fn namespace(&self) -> &str {
        self.pod.metadata.namespace.as_deref().unwrap_or("")
    }

    pub(super) fn config_map(&self, from: &ConfigMapVolumeSource) -> Result<Payload, String> {
        let files = self.map_files(&from.name, from.items.as_deref(), from.optional, mode(from.default_mode))?;
        Ok(Payload { files, tokens: Vec::new() })
    }

    pub(super) fn secret(&self, from: &SecretVolumeSource) -> Result<Payload, String> {
        let name = from.secret_name.as_deref().unwrap_or("");
        let files = self.secret_files(name, from.items.as_deref(), from.optional, mode(from.default_mode))?;
        Ok(Payload { files, tokens: Vec::new() })
    }

    pub(super) fn downward(&self, from: &DownwardAPIVolumeSource) -> Result<Payload, String> {
        let files = self.downward_files(from.items.as_deref().unwrap_or(&[]), mode(from.default_mode))?;
        Ok(Payload { files, tokens: Vec::new() })
    }

    pub(super) fn projected(&self, from: &ProjectedVolumeSource) -> Result<Payload, String> {
        let default = mode(from.default_mode);
        let mut payload = Payload::default();
        for source in from.sources.iter().flatten() {
            match source {
                VolumeProjection { config_map: Some(map), .. } => {
                    payload.files.extend(self.map_files(&map.name, map.items.as_deref(), map.optional, default)?);
                }
                VolumeProjection { secret: Some(secret), .. } => {
                    let files = self.secret_files(&secret.name, secret.items.as_deref(), secret.optional, default)?;
                    payload.files.extend(files);
                }
                VolumeProjection { downward_api: Some(items), .. } => {
                    payload.files.extend(self.downward_files(items.items.as_deref().unwrap_or(&[]), default)?);
                }
                VolumeProjection { service_account_token: Some(token), .. } => {
                    payload.tokens.push(self.token(token, default));
                }
                VolumeProjection { cluster_trust_bundle: Some(_), .. } => {
                    return Err("clusterTrustBundle projections are not supported by this node".to_owned());
                }
                VolumeProjection { pod_certificate: Some(_), .. } => {
                    return Err("podCertificate projections are not supported by this node".to_owned());
                }
                _ => {}
            }
        }
        Ok(payload)
    }

    fn map_files(
        &self,
        name: &str,
        items: Option<&[KeyToPath]>,
        may_miss: Option<bool>,
        mode: u32,
    ) -> Result<Files, String> {
        let found = config_map(self.world, self.namespace(), name, may_miss)?;
        let data = found.map(|map| map_data(&map)).unwrap_or_default();
        select(data, items, may_miss, mode, "config")
    }

    fn secret_files(
        &self,
        name: &str,
        items: Option<&[KeyToPath]>,
        may_miss: Option<bool>,
        mode: u32,
    ) -> Result<Files, String> {
        let found = secret(self.world, self.namespace(), name, may_miss)?;
        let data = found.map(|secret| secret_data(&secret)).unwrap_or_default();
        select(data, items, may_miss, mode, "secret")
    }

    fn downward_files(&self, items: &[DownwardAPIVolumeFile], default: u32) -> Result<Files, String> {
        let file = |item: &DownwardAPIVolumeFile| {
            let text = match (&item.field_ref, &item.resource_field_ref) {
                (Some(reference), _) => field::value(self.pod, &reference.field_path, self.around)?,
                (_, Some(reference)) => field::resource(self.pod, None, reference, self.around)?,
                _ => String::new(),
            };
            let mode = item.mode.map_or(default, |own| mode(Some(own)));
            Ok((item.path.clone(), File { data: text.into_bytes(), mode }))
        };
        items.iter().map(file).collect()
    }

    fn token(&self, from: &ServiceAccountTokenProjection, mode: u32) -> TokenWish {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        let account = self.pod.spec.as_ref().map(|spec| text(&spec.service_account_name)).unwrap_or_default();
        TokenWish {
            namespace: self.namespace().to_owned(),
            service_account: if account.is_empty() { "default".to_owned() } else { account },
            pod: text(&self.pod.metadata.name),
            pod_uid: text(&self.pod.metadata.uid),
            audience: text(&from.audience),
            expiration_seconds: from.expiration_seconds.unwrap_or(3600),
            path: from.path.clone(),
            mode,
        }
    }
}

fn mode(given: Option<i32>) -> u32 {
    given.and_then(|mode| u32::try_from(mode).ok()).unwrap_or(MODE_DEFAULT)
}

fn map_data(map: &ConfigMap) -> Data {
    let text = map.data.iter().flatten().map(|(key, value)| (key.clone(), value.clone().into_bytes()));
    text.chain(map.binary_data.iter().flatten().map(|(key, value)| (key.clone(), value.0.clone()))).collect()
}

fn secret_data(secret: &Secret) -> Data {
    secret.data.iter().flatten().map(|(key, value)| (key.clone(), value.0.clone())).collect()
}

/// All keys as files, or the chosen ones under their paths.
fn select(
    mut data: Data,
    items: Option<&[KeyToPath]>,
    may_miss: Option<bool>,
    default: u32,
    what: &str,
) -> Result<Files, String> {
    let Some(items) = items.filter(|items| !items.is_empty()) else {
        return Ok(data.into_iter().map(|(key, data)| (key, File { data, mode: default })).collect());
    };
    let mut files = Files::new();
    for item in items {
        match data.remove(&item.key) {
            Some(data) => {
                let mode = item.mode.map_or(default, |own| mode(Some(own)));
                files.insert(item.path.clone(), File { data, mode });
            }
            None if may_miss == Some(true) => {}
            None => return Err(format!("references non-existent {what} key: {}", item.key)),
        }
    }
    Ok(files)
}
