//! A container's environment, command and arguments, worked out from the pod and the world. Pure.
//! Source: kubelet `makeEnvironmentVariables`.

pub mod expand;
pub mod services;

use std::collections::BTreeMap;

use coracle_core::{ObjectRef, World};
use k8s_openapi::api::core::v1::{ConfigMap, Container, EnvFromSource, EnvVar, EnvVarSource, Pod, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::pod::field::{self, Surroundings};

/// Variables in an order in which each may refer to those before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    variables: Vec<(String, String)>,
    places: BTreeMap<String, usize>,
}

impl Environment {
    /// The value of a variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(*self.places.get(name)?).map(|(_, value)| value.as_str())
    }

    /// Sets a variable, in its old place if it had one.
    pub fn set(&mut self, name: &str, value: String) {
        match self.places.get(name).and_then(|place| self.variables.get_mut(*place)) {
            Some((_, old)) => *old = value,
            None => {
                self.places.insert(name.to_owned(), self.variables.len());
                self.variables.push((name.to_owned(), value));
            }
        }
    }

    /// All variables.
    #[must_use]
    pub fn into_variables(self) -> Vec<(String, String)> {
        self.variables
    }

    /// A text with its `$(NAME)` references replaced.
    #[must_use]
    pub fn expand(&self, text: &str) -> String {
        expand::expand(text, |name| self.get(name))
    }
}

/// The environment of a container. `services` says whether variables of services are wanted at all.
///
/// # Errors
/// What is missing, in upstream's words: the container waits with `CreateContainerConfigError`.
pub fn environment(
    pod: &Pod,
    container: &Container,
    world: &World,
    around: &Surroundings<'_>,
    services: bool,
) -> Result<Environment, String> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or("");
    let mut environment = Environment::default();
    if services {
        let links = pod.spec.as_ref().and_then(|spec| spec.enable_service_links).unwrap_or(true);
        services::variables(world, namespace, links, &mut environment);
    }
    for source in container.env_from.iter().flatten() {
        add_source(source, namespace, world, &mut environment)?;
    }
    for variable in container.env.iter().flatten() {
        if let Some(value) = value(variable, pod, container, world, around, &environment)? {
            environment.set(&variable.name, value);
        }
    }
    Ok(environment)
}

/// A container's command and arguments with their references replaced.
#[must_use]
pub fn command(container: &Container, environment: &Environment) -> (Vec<String>, Vec<String>) {
    let expand = |texts: &Option<Vec<String>>| texts.iter().flatten().map(|text| environment.expand(text)).collect();
    (expand(&container.command), expand(&container.args))
}

fn add_source(
    source: &EnvFromSource,
    namespace: &str,
    world: &World,
    environment: &mut Environment,
) -> Result<(), String> {
    let prefix = source.prefix.as_deref().unwrap_or("");
    let mut add = |key: &str, value: String| {
        let name = format!("{prefix}{key}");
        if is_name(&name) {
            environment.set(&name, value);
        }
    };
    if let Some(reference) = &source.config_map_ref
        && let Some(map) = config_map(world, namespace, &reference.name, reference.optional)?
    {
        map.data.iter().flatten().for_each(|(key, value)| add(key, value.clone()));
    }
    if let Some(reference) = &source.secret_ref
        && let Some(secret) = secret(world, namespace, &reference.name, reference.optional)?
    {
        secret.data.iter().flatten().for_each(|(key, value)| add(key, text_of(&value.0)));
    }
    Ok(())
}

/// Printable ASCII without `=`. Source: apimachinery `IsRelaxedEnvVarName`.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|letter| matches!(letter, ' '..='~') && letter != '=')
}

fn value(
    variable: &EnvVar,
    pod: &Pod,
    container: &Container,
    world: &World,
    around: &Surroundings<'_>,
    before: &Environment,
) -> Result<Option<String>, String> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or("");
    match (&variable.value, &variable.value_from) {
        (Some(value), _) if !value.is_empty() => Ok(Some(before.expand(value))),
        (_, None) => Ok(Some(String::new())),
        (_, Some(EnvVarSource { field_ref: Some(reference), .. })) => {
            field::value(pod, &reference.field_path, around).map(Some)
        }
        (_, Some(EnvVarSource { resource_field_ref: Some(reference), .. })) => {
            field::resource(pod, Some(container), reference, around).map(Some)
        }
        (_, Some(EnvVarSource { config_map_key_ref: Some(reference), .. })) => {
            let map = config_map(world, namespace, &reference.name, reference.optional)?;
            let found = map.and_then(|map| map.data.as_ref()?.get(&reference.key).cloned());
            let missing = || missing_key(&reference.key, "ConfigMap", namespace, &reference.name);
            found.map_or_else(|| if optional(reference.optional) { Ok(None) } else { Err(missing()) }, |v| Ok(Some(v)))
        }
        (_, Some(EnvVarSource { secret_key_ref: Some(reference), .. })) => {
            let secret = secret(world, namespace, &reference.name, reference.optional)?;
            let found = secret.and_then(|secret| secret.data.as_ref()?.get(&reference.key).map(|v| text_of(&v.0)));
            let missing = || missing_key(&reference.key, "Secret", namespace, &reference.name);
            found.map_or_else(|| if optional(reference.optional) { Ok(None) } else { Err(missing()) }, |v| Ok(Some(v)))
        }
        (_, Some(EnvVarSource { file_key_ref: Some(_), .. })) => {
            Err(format!("environment variable {:?}: fileKeyRef is not supported by this node", variable.name))
        }
        (_, Some(_)) => Ok(Some(String::new())),
    }
}

fn optional(flag: Option<bool>) -> bool {
    flag == Some(true)
}

fn missing_key(key: &str, kind: &str, namespace: &str, name: &str) -> String {
    format!("couldn't find key {key} in {kind} {namespace}/{name}")
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A ConfigMap that something refers to; `None` if it may be missing and is.
///
/// # Errors
/// If it is missing and must not be.
pub fn config_map(
    world: &World,
    namespace: &str,
    name: &str,
    may_miss: Option<bool>,
) -> Result<Option<std::sync::Arc<ConfigMap>>, String> {
    let found = world.get::<ConfigMap>(namespace, name);
    if found.is_none() && !optional(may_miss) {
        return Err(format!("configmap {name:?} not found"));
    }
    Ok(found)
}

/// A Secret that something refers to; `None` if it may be missing and is.
///
/// # Errors
/// If it is missing and must not be.
pub fn secret(
    world: &World,
    namespace: &str,
    name: &str,
    may_miss: Option<bool>,
) -> Result<Option<std::sync::Arc<Secret>>, String> {
    let found = world.get::<Secret>(namespace, name);
    if found.is_none() && !optional(may_miss) {
        return Err(format!("secret {name:?} not found"));
    }
    Ok(found)
}

/// The ConfigMaps and Secrets that a pod's containers or volumes refer to: what its node must hear of.
#[must_use]
pub fn references(pod: &Pod) -> Vec<ObjectRef> {
    let Some(spec) = &pod.spec else { return Vec::new() };
    let (mut maps, mut secrets) = (Vec::new(), Vec::new());
    let ephemeral = spec.ephemeral_containers.iter().flatten().map(|one| (&one.env, &one.env_from));
    let containers = spec.init_containers.iter().flatten().chain(&spec.containers);
    for (env, env_from) in containers.map(|one| (&one.env, &one.env_from)).chain(ephemeral) {
        for source in env_from.iter().flatten() {
            maps.extend(source.config_map_ref.iter().map(|reference| reference.name.as_str()));
            secrets.extend(source.secret_ref.iter().map(|reference| reference.name.as_str()));
        }
        for source in env.iter().flatten().filter_map(|variable| variable.value_from.as_ref()) {
            maps.extend(source.config_map_key_ref.iter().map(|reference| reference.name.as_str()));
            secrets.extend(source.secret_key_ref.iter().map(|reference| reference.name.as_str()));
        }
    }
    for volume in spec.volumes.iter().flatten() {
        maps.extend(volume.config_map.iter().map(|source| source.name.as_str()));
        secrets.extend(volume.secret.iter().filter_map(|source| source.secret_name.as_deref()));
        let projected = volume.projected.iter().flat_map(|source| source.sources.iter().flatten());
        for source in projected {
            maps.extend(source.config_map.iter().map(|source| source.name.as_str()));
            secrets.extend(source.secret.iter().map(|source| source.name.as_str()));
        }
    }
    let metadata = |name: &str| ObjectMeta {
        name: Some(name.to_owned()),
        namespace: pod.metadata.namespace.clone(),
        ..ObjectMeta::default()
    };
    let maps =
        maps.into_iter().map(|name| ObjectRef::of(&ConfigMap { metadata: metadata(name), ..Default::default() }));
    let secrets =
        secrets.into_iter().map(|name| ObjectRef::of(&Secret { metadata: metadata(name), ..Default::default() }));
    let mut all: Vec<_> = maps.chain(secrets).collect();
    all.sort();
    all.dedup();
    all
}

#[cfg(test)]
mod tests;
