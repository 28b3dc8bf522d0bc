//! The server in process: a tower service, for `kube::Client` without a socket.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use coracle_core::User;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use tower_service::Service;

use super::body::{Body, BoxError};
use super::{ApiServer, Caller};

/// An [`ApiServer`] as one user sees it. Cloning shares it.
///
/// `kube::Client::new(server.in_process(User::owner()), "default")` is a client of the ecosystem without a socket.
#[derive(Clone, Debug)]
pub struct InProcess {
    server: Arc<ApiServer>,
    user: Arc<User>,
}

impl ApiServer {
    /// The server as a service, for a user of this process.
    #[must_use]
    pub fn in_process(self: &Arc<Self>, user: Arc<User>) -> InProcess {
        InProcess { server: self.clone(), user }
    }
}

impl<B> Service<Request<B>> for InProcess
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (server, caller) = (self.server.clone(), Caller::Known(self.user.clone()));
        let request = request.map(|body| body.map_err(Into::into).boxed_unsync());
        Box::pin(async move { Ok(server.handle(request, caller).await) })
    }
}
