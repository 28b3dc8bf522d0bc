//! What a planner decides, as a value that can be read, printed, compared and carried out.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use coracle_core::event::reference_to;
use coracle_core::{Action, Body, Happening, Kinds, Object, Request, Resource, Response, Severity, Status};
use k8s_openapi::api::core::v1::ObjectReference;

use crate::context::Context;
use crate::controller::{Error, Next};

/// Steps in order, and when to look again. The first step that fails ends the plan.
#[derive(Debug, Default)]
pub struct Plan {
    /// What to do, in order.
    pub steps: Vec<Step>,
    /// When to look again, if nothing wakes the object before. Default: only when something changes.
    pub requeue_after: Option<Duration>,
    /// What to write if a step failed, such as a condition that tells of it.
    pub on_failure: Option<OnFailure>,
}

/// One step of a plan.
#[derive(Debug)]
pub enum Step {
    /// All of these, each on its own; the step fails if one of them did.
    Together(Vec<Wish>),
    /// First one of these, then two, four and so on, as long as none fails: a thousand pods that cannot be created cost one
    /// refusal, not a thousand. Source: `slowStartBatch`.
    SlowStart(Vec<Wish>),
    /// Tells people something.
    Tell(Happening),
}

/// A request and what is told about its outcome.
#[derive(Debug)]
pub struct Wish {
    /// What is asked for.
    pub request: Request,
    /// What is told when it was answered.
    pub announcement: Option<Announcement>,
}

/// What is told when a request was answered. `{}` in a note stands for the object's name, or for the refusal.
#[derive(Clone, Debug)]
pub struct Announcement {
    /// Whom the event is about.
    pub regarding: Arc<ObjectReference>,
    /// Who reports.
    pub reporter: &'static str,
    /// Reason and note of success; empty to say nothing.
    pub done: (&'static str, String),
    /// Reason and note of failure; empty to say nothing.
    pub failed: (&'static str, String),
}

/// Makes the request that follows from a failure.
pub struct OnFailure(Box<WriteOnFailure>);

type WriteOnFailure = dyn FnOnce(&Status) -> Option<Request> + Send + Sync;

impl OnFailure {
    /// The request that follows from a refusal, if any.
    #[must_use]
    pub fn request(self, refusal: &Status) -> Option<Request> {
        (self.0)(refusal)
    }
}

impl Plan {
    /// Nothing to do.
    #[must_use]
    pub fn nothing() -> Self {
        Self::default()
    }

    /// One more request, after all before it succeeded.
    pub fn then(&mut self, wish: impl Into<Wish>) -> &mut Self {
        self.together([wish])
    }

    /// More requests, carried out together after all before them succeeded.
    pub fn together<W: Into<Wish>>(&mut self, wishes: impl IntoIterator<Item = W>) -> &mut Self {
        let wishes: Vec<Wish> = wishes.into_iter().map(Into::into).collect();
        if !wishes.is_empty() {
            self.steps.push(Step::Together(wishes));
        }
        self
    }

    /// More requests in growing batches.
    pub fn slow_start(&mut self, wishes: Vec<Wish>) -> &mut Self {
        if !wishes.is_empty() {
            self.steps.push(Step::SlowStart(wishes));
        }
        self
    }

    /// Tells people something, after all before it succeeded.
    pub fn tell(&mut self, happening: Happening) -> &mut Self {
        self.steps.push(Step::Tell(happening));
        self
    }

    /// Looks again after a while; the soonest of all such wishes counts.
    pub fn look_again(&mut self, after: Option<Duration>) -> &mut Self {
        self.requeue_after = [self.requeue_after, after].into_iter().flatten().min();
        self
    }

    /// What to write if a step fails.
    pub fn if_failed(&mut self, write: impl FnOnce(&Status) -> Option<Request> + Send + Sync + 'static) -> &mut Self {
        self.on_failure = Some(OnFailure(Box::new(write)));
        self
    }

    /// Whether there is nothing to do and nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Every request of the plan, in order.
    pub fn requests(&self) -> impl Iterator<Item = &Request> {
        self.steps.iter().flat_map(Step::wishes).map(|wish| &wish.request)
    }
}

impl Step {
    /// The requests of the step.
    #[must_use]
    pub fn wishes(&self) -> &[Wish] {
        match self {
            Self::Together(wishes) | Self::SlowStart(wishes) => wishes,
            Self::Tell(_) => &[],
        }
    }
}

impl Wish {
    /// The same request, told about.
    #[must_use]
    pub fn announced(mut self, announcement: Announcement) -> Self {
        self.announcement = Some(announcement);
        self
    }
}

impl From<Request> for Wish {
    fn from(request: Request) -> Self {
        Self { request, announcement: None }
    }
}

impl Announcement {
    /// Announcements about an object, still silent.
    pub fn about<K: Resource>(reporter: &'static str, object: &K) -> Self {
        let regarding = Arc::new(reference_to(object));
        Self { regarding, reporter, done: ("", String::new()), failed: ("", String::new()) }
    }

    /// Tells of success.
    #[must_use]
    pub fn done(mut self, reason: &'static str, note: impl Into<String>) -> Self {
        self.done = (reason, note.into());
        self
    }

    /// Tells of failure.
    #[must_use]
    pub fn failed(mut self, reason: &'static str, note: impl Into<String>) -> Self {
        self.failed = (reason, note.into());
        self
    }

    /// What is told of an answer, if anything.
    #[must_use]
    pub fn of(&self, answer: &Result<Response, Status>) -> Option<Happening> {
        let ((reason, note), severity, value) = match answer {
            Ok(response) => {
                let name = response.object.as_deref().map_or("", Object::name);
                (&self.done, Severity::Normal, name.to_owned())
            }
            Err(status) => (&self.failed, Severity::Warning, status.message().to_owned()),
        };
        (!reason.is_empty()).then(|| Happening {
            regarding: self.regarding.clone(),
            severity,
            reason,
            note: note.replace("{}", &value),
            reporter: self.reporter,
            host: Arc::from(""),
            action: "",
        })
    }
}

/// Carries out a plan: asks, announces, and says when to look again.
///
/// # Errors
/// The first refusal. What is gone already counts as deleted, and nothing is created in a namespace that is going away.
pub async fn carry_out(plan: Plan, context: &Context) -> Result<Next, Error> {
    for step in plan.steps {
        let Err(refusal) = carry_out_step(step, context).await else { continue };
        if let Some(request) = plan.on_failure.and_then(|write| write.request(&refusal)) {
            context.execute(request).await?;
        }
        return Err(refusal.into());
    }
    Ok(Next { after: plan.requeue_after, ..Next::default() })
}

async fn carry_out_step(step: Step, context: &Context) -> Result<(), Status> {
    match step {
        Step::Tell(happening) => context.record(happening),
        Step::Together(wishes) => ask(wishes, context).await?,
        Step::SlowStart(mut wishes) => {
            let mut size = 1;
            while !wishes.is_empty() {
                let rest = wishes.split_off(size.min(wishes.len()));
                ask(std::mem::replace(&mut wishes, rest), context).await?;
                size *= 2;
            }
        }
    }
    Ok(())
}

async fn ask(wishes: Vec<Wish>, context: &Context) -> Result<(), Status> {
    let (requests, announcements): (Vec<_>, Vec<_>) =
        wishes.into_iter().map(|wish| (wish.request, wish.announcement)).unzip();
    let harmless: Vec<_> = requests.iter().map(is_done_when).collect();
    let mut first_refusal = None;
    for ((answer, announcement), harmless) in
        context.execute_all(requests).await.into_iter().zip(announcements).zip(harmless)
    {
        if answer.as_ref().is_err_and(harmless) {
            continue;
        }
        if let Some(happening) = announcement.and_then(|announcement| announcement.of(&answer)) {
            context.record(happening);
        }
        first_refusal = first_refusal.or(answer.err());
    }
    first_refusal.map_or(Ok(()), Err)
}

/// Which refusals of a request mean that there is nothing left to do.
fn is_done_when(request: &Request) -> fn(&Status) -> bool {
    match request.action {
        Action::Delete(_) => Status::is_not_found,
        Action::Create(_) => is_namespace_terminating,
        _ => |_| false,
    }
}

/// Whether a create was refused because its namespace is going away. Source: core/v1 `NamespaceTerminatingCause`.
fn is_namespace_terminating(status: &Status) -> bool {
    let causes = status.as_api().details.iter().flat_map(|details| details.causes.iter().flatten());
    causes.into_iter().any(|cause| cause.reason.as_deref() == Some("NamespaceTerminating"))
}

impl fmt::Debug for OnFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("OnFailure")
    }
}

impl fmt::Display for Plan {
    /// One line per request or event, such as `create pod default/web-*`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            step.fmt(formatter)?;
        }
        match self.requeue_after {
            Some(after) => writeln!(formatter, "look again after {after:?}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Tell(happening) = self {
            writeln!(formatter, "tell {}: {}", happening.reason, happening.note)?;
        }
        self.wishes().iter().try_for_each(|wish| writeln!(formatter, "{}", summary(&wish.request)))
    }
}

/// A request in a line, such as `create pod default/web-*` or `update replicaset/status default/web`.
#[must_use]
pub fn summary(request: &Request) -> String {
    let target = &request.target;
    let (verb, name) = match &request.action {
        Action::Create(body) => ("create", name_of(body).unwrap_or_else(|| target.name.clone().into_owned())),
        Action::Connect(_) => ("connect", target.name.clone().into_owned()),
        Action::Update(_) => ("update", target.name.clone().into_owned()),
        Action::Patch(_) => ("patch", target.name.clone().into_owned()),
        Action::Edit(_) => ("edit", target.name.clone().into_owned()),
        Action::Delete(_) => ("delete", target.name.clone().into_owned()),
        Action::DeleteCollection { .. } => ("delete", "*".to_owned()),
    };
    let kinds = Kinds::builtin();
    let kind = kinds.storage(&target.resource).map_or(&target.resource.resource, |kind| &kind.singular);
    let below = if target.subresource.is_empty() { String::new() } else { format!("/{}", target.subresource) };
    let place = if target.namespace.is_empty() { name } else { format!("{}/{name}", target.namespace) };
    format!("{verb} {kind}{below} {place}")
}

fn name_of(body: &Body) -> Option<String> {
    let Body::Value(value) = body else { return None };
    let metadata = value.metadata();
    let generated = || metadata.generate_name.as_ref().map(|prefix| format!("{prefix}*"));
    metadata.name.clone().filter(|name| !name.is_empty()).or_else(generated)
}
