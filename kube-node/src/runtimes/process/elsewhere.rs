//! Processes on systems other than Linux: not yet. What is missing there are descriptors of processes (pidfd), `/proc` and
//! a loopback network.

use std::convert::Infallible;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use k8s_openapi::api::core::v1::Pod;

use crate::runtime::{
    ContainerId, ContainerSpec, ImageId, Runtime, RuntimeError, RuntimeEvent, Sandbox, SandboxId, SandboxStatus,
};

/// Cannot be made on this system.
#[derive(Debug)]
pub struct ProcessRuntime(Infallible);

impl ProcessRuntime {
    /// Fails.
    ///
    /// # Errors
    /// Always: [`RuntimeError::Unsupported`].
    pub fn new() -> Result<Self, RuntimeError> {
        Err(RuntimeError::Unsupported { runtime: "process".into(), what: "systems other than Linux".into() })
    }
}

#[async_trait]
impl Runtime for ProcessRuntime {
    fn name(&self) -> &str {
        match self.0 {}
    }

    async fn pull(&self, _image: &str, _pod: &Pod) -> Result<ImageId, RuntimeError> {
        match self.0 {}
    }

    async fn start_sandbox(&self, _sandbox: &Sandbox) -> Result<SandboxStatus, RuntimeError> {
        match self.0 {}
    }

    async fn start(&self, _container: &ContainerSpec) -> Result<ContainerId, RuntimeError> {
        match self.0 {}
    }

    async fn stop(&self, _id: &ContainerId, _grace: Duration) -> Result<(), RuntimeError> {
        match self.0 {}
    }

    async fn remove_container(&self, _id: &ContainerId) -> Result<(), RuntimeError> {
        match self.0 {}
    }

    async fn remove_sandbox(&self, _id: &SandboxId) -> Result<(), RuntimeError> {
        match self.0 {}
    }

    fn events(&self) -> BoxStream<'static, RuntimeEvent> {
        match self.0 {}
    }

    async fn list(&self) -> Result<Vec<SandboxStatus>, RuntimeError> {
        match self.0 {}
    }
}
