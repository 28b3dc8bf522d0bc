//! A watch: a cursor into the feed, and for older revisions into the store's history.
//!
//! A watch owns no queue. It pulls events when its client takes lines, so a slow client holds nothing but its place; when it
//! falls out of the journal it goes on from the store, and only when that has forgotten too is it told to start over.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use coracle_core::{Event, Feed, Kind, Object, Revision, Status, Subscription};
use coracle_store::{Change, Changes, KeyRange};
use futures::Stream;
use futures::future::BoxFuture;
use tokio::time::{Instant, Sleep};

use super::encoder::{Encoder, EventType};
use super::form::Form;
use super::options::ListOptions;
use super::selection::Selection;
use super::{Reader, past};
use crate::custom::needs_webhook;

/// How often a watch tells how far it is. Source: apiserver cacher `defaultBookmarkFrequency`.
pub const BOOKMARK_PERIOD: Duration = Duration::from_secs(60);
/// The shortest default life of a watch; the longest is twice that. Source: kube-apiserver `--min-request-timeout`.
pub const TIMEOUT_MIN: Duration = Duration::from_secs(30 * 60);
/// Events taken from a journal at a time.
const BATCH_EVENTS_MAX: usize = 128;

/// The lines of one watch, each a JSON document and a newline, or a protobuf message with its length in front. Ends at its timeout, or after an `ERROR` line.
pub struct Watch {
    reader: Reader,
    selection: Selection,
    encoder: Arc<Encoder>,
    source: Source,
    /// Lines that are encoded but not taken yet.
    lines: VecDeque<Bytes>,
    /// Events that a webhook has to convert before they are lines, if the kind needs that.
    conversion: Option<Conversion>,
    /// All changes up to here have been told, or concern others.
    told: Revision,
    /// Whether no object has been told yet.
    first: bool,
    bookmarks: bool,
    /// Whether a bookmark is still owed to say that all initial events were told.
    owes_initial_end: bool,
    deadline: Instant,
    timer: Pin<Box<Sleep>>,
}

/// What waits to be told, in order, while a webhook converts it.
#[derive(Default)]
struct Conversion {
    waiting: Vec<Told>,
    running: Option<BoxFuture<'static, Result<Vec<Told>, Status>>>,
}

/// Something to tell.
enum Told {
    Object(EventType, Arc<Object>),
    Line(Bytes),
}

enum Source {
    /// What was there at the beginning.
    Initial(std::vec::IntoIter<Arc<Object>>, Subscription),
    /// Changes that the journal no longer has.
    History(Changes),
    /// Changes as they happen.
    Live(Subscription),
    Ended,
}

impl Reader {
    /// Watches a selection. The options must be valid.
    ///
    /// # Errors
    /// 504 if initial events are wanted of a revision that this server has not seen, 422 if it is no revision. History that
    /// is gone is told by the watch itself, as upstream does.
    pub async fn watch(&self, selection: Selection, options: &ListOptions, form: Form) -> Result<Watch, Status> {
        let revision = options.revision()?;
        let wants_initial = options.send_initial_events.unwrap_or(revision.is_none());
        let timeout = options.timeout.unwrap_or_else(|| self.default_timeout());
        let deadline = Instant::now() + timeout;
        let first_wake = if options.bookmarks { deadline.min(Instant::now() + BOOKMARK_PERIOD) } else { deadline };
        let mut watch = Watch {
            reader: self.clone(),
            encoder: self.encoders.of(form),
            source: Source::Ended,
            conversion: needs_webhook(selection.kind()).then(Conversion::default),
            selection,
            lines: VecDeque::new(),
            told: Revision::ZERO,
            first: true,
            bookmarks: options.bookmarks,
            owes_initial_end: options.bookmarks && options.send_initial_events == Some(true),
            deadline,
            timer: Box::pin(tokio::time::sleep_until(first_wake)),
        };
        match revision {
            Some(revision) if !wants_initial => watch.resume(revision),
            Some(revision) => drop(self.at_least(revision).await?),
            None => drop(self.newest().await?),
        }
        if wants_initial || revision.is_none() {
            watch.begin(wants_initial);
        }
        Ok(watch)
    }

    /// Half an hour to an hour, so that not all watches end at once.
    fn default_timeout(&self) -> Duration {
        TIMEOUT_MIN + Duration::from_secs(self.gateway.entropy().below(TIMEOUT_MIN.as_secs()))
    }
}

impl Watch {
    /// Begins with the present.
    fn begin(&mut self, with_initial_events: bool) {
        let (world, subscription) = self.feed().follow(Some(&self.selection.kind().storage));
        self.told = world.revision();
        self.source = if with_initial_events {
            let mut objects = self.selection.candidates(&world, "");
            objects.retain(|object| self.selection.matches(object));
            Source::Initial(objects.into_iter(), subscription)
        } else {
            Source::Live(subscription)
        };
    }

    /// Goes on after a revision: from the journal, else from the store.
    fn resume(&mut self, after: Revision) {
        self.told = after;
        let lagged = match self.feed().subscribe(Some(&self.selection.kind().storage), after) {
            Ok(subscription) => {
                self.source = Source::Live(subscription);
                return;
            }
            Err(lagged) => lagged,
        };
        let range = KeyRange::prefix(past::prefix(&self.selection));
        match self.reader.store.changes(range, after) {
            Ok(changes) => self.source = Source::History(changes),
            Err(error) => self.fail(error, lagged.oldest),
        }
    }

    fn fail(&mut self, error: coracle_store::Error, oldest: Revision) {
        let status = match error {
            coracle_store::Error::Compacted { asked, oldest } => too_old(asked, oldest),
            coracle_store::Error::Ahead { asked, .. } => too_old(asked, oldest),
            other => super::store_status(other),
        };
        self.end_with(&status);
    }

    fn end_with(&mut self, status: &Status) {
        let line = self.encoder.error(status);
        self.push_line(line);
        self.source = Source::Ended;
    }

    fn feed(&self) -> Arc<Feed> {
        self.reader.gateway.feed().clone()
    }

    /// Fills `lines`, or ends, or waits.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.timer.as_mut().poll(context).is_ready() {
            self.wake_up(context);
            return Poll::Ready(());
        }
        match &mut self.source {
            Source::Ended => Poll::Ready(()),
            Source::Initial(objects, _) => {
                let batch: Vec<_> = objects.by_ref().take(BATCH_EVENTS_MAX).collect();
                self.tell_initial(&batch);
                Poll::Ready(())
            }
            Source::Live(subscription) => {
                let events = futures::ready!(subscription.poll_next(context, BATCH_EVENTS_MAX));
                match events {
                    Ok(events) => events.iter().for_each(|event| self.tell(event)),
                    Err(_lagged) => self.resume(self.told),
                }
                Poll::Ready(())
            }
            Source::History(_) => self.poll_history(context),
        }
    }

    fn tell_initial(&mut self, batch: &[Arc<Object>]) {
        for object in batch {
            self.tell_object(EventType::Added, object);
        }
        if !batch.is_empty() {
            return;
        }
        if std::mem::take(&mut self.owes_initial_end) {
            self.bookmark(self.told, true);
        }
        if let Source::Initial(_, subscription) = std::mem::replace(&mut self.source, Source::Ended) {
            self.source = Source::Live(subscription);
        }
    }

    fn poll_history(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Source::History(changes) = &mut self.source else { return Poll::Ready(()) };
        // Taken before the store is asked: all of the store's changes up to here are then among its answers.
        let seen = self.reader.gateway.feed().world().revision();
        match changes.poll_next(context) {
            Poll::Ready(Ok(batch)) => batch.iter().for_each(|change| self.tell_change(change)),
            Poll::Ready(Err(error)) => self.fail(error, seen),
            Poll::Pending => self.told = self.told.max(seen),
        }
        if !matches!(self.source, Source::History(_)) {
            return Poll::Ready(());
        }
        match self.feed().subscribe(Some(&self.selection.kind().storage), self.told) {
            Ok(subscription) => {
                self.source = Source::Live(subscription);
                Poll::Ready(())
            }
            Err(_lagged) if self.lines.is_empty() => Poll::Pending,
            Err(_lagged) => Poll::Ready(()),
        }
    }

    fn tell_change(&mut self, change: &Change) {
        match self.event_of(change) {
            Ok(event) => self.tell(&event),
            Err(error) => self.fail(error, self.told),
        }
    }

    fn event_of(&self, change: &Change) -> Result<Event, coracle_store::Error> {
        let decode = |value, revision| self.reader.decode(&self.selection, value, revision);
        let previous = change.previous.as_ref().map(|was| decode(&was.value, was.revision)).transpose()?;
        let current = change.value.as_ref().map(|value| decode(value, change.revision)).transpose()?;
        let deleted = current.is_none();
        let last = || previous.as_ref().map(|previous| Arc::new(previous.at(change.revision)));
        let Some(object) = current.or_else(last) else {
            return Err(coracle_store::Error::broken(format!("change {} of {} is empty", change.revision, change.key)));
        };
        Ok(Event { revision: change.revision, object, previous, deleted })
    }

    fn tell(&mut self, event: &Event) {
        if event.revision <= self.told {
            return;
        }
        self.told = event.revision;
        match view(&self.selection, event) {
            Some((EventType::Deleted, previous)) if !event.deleted => {
                self.tell_object(EventType::Deleted, &previous.at(event.revision));
            }
            Some((what, object)) => self.tell_object(what, object),
            None => {}
        }
    }

    fn tell_object(&mut self, what: EventType, object: &Object) {
        if matches!(self.source, Source::Ended) {
            return;
        }
        if let Some(conversion) = &mut self.conversion {
            return conversion.waiting.push(Told::Object(what, Arc::new(object.clone())));
        }
        self.encode_object(what, object);
    }

    fn encode_object(&mut self, what: EventType, object: &Object) {
        let now = self.reader.gateway.clock().now();
        match self.encoder.line(what, object, std::mem::take(&mut self.first), now) {
            Ok(line) => self.lines.push_back(line),
            Err(status) => self.end_with(&status),
        }
    }

    fn bookmark(&mut self, revision: Revision, ends_initial_events: bool) {
        match self.encoder.bookmark(revision, ends_initial_events) {
            Ok(line) => self.push_line(line),
            Err(status) => self.end_with(&status),
        }
    }

    /// A line that follows everything told so far.
    fn push_line(&mut self, line: Bytes) {
        match &mut self.conversion {
            Some(conversion) => conversion.waiting.push(Told::Line(line)),
            None => self.lines.push_back(line),
        }
    }

    /// Goes on with what has to be converted; pending while a webhook is at it.
    fn poll_conversion(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(conversion) = &mut self.conversion else { return Poll::Ready(()) };
        if conversion.running.is_none() {
            if conversion.waiting.is_empty() {
                return Poll::Ready(());
            }
            let (reader, kind) = (self.reader.clone(), self.selection.kind().clone());
            let waiting = std::mem::take(&mut conversion.waiting);
            conversion.running = Some(Box::pin(async move { converted(&reader, &kind, waiting).await }));
        }
        let Some(running) = &mut conversion.running else { return Poll::Ready(()) };
        let told = futures::ready!(running.as_mut().poll(context));
        conversion.running = None;
        match told {
            Ok(told) => told.into_iter().for_each(|told| match told {
                Told::Object(what, object) => self.encode_object(what, &object),
                Told::Line(line) => self.lines.push_back(line),
            }),
            Err(status) => {
                self.conversion = None;
                self.end_with(&status);
            }
        }
        Poll::Ready(())
    }

    /// The timer rang: time for a bookmark, or for the end.
    fn wake_up(&mut self, context: &mut Context<'_>) {
        if self.bookmarks {
            self.catch_up_and_mark();
        }
        let now = Instant::now();
        if now >= self.deadline {
            self.source = Source::Ended;
            return;
        }
        self.timer.as_mut().reset(self.deadline.min(now + BOOKMARK_PERIOD));
        // Polled once more so that the new time is awaited even if lines are ready now.
        let _still_waiting = self.timer.as_mut().poll(context);
    }

    /// Tells what is ready, then how far that is. Only a live watch knows.
    fn catch_up_and_mark(&mut self) {
        let Source::Live(_) = self.source else { return };
        // Following waits for a publication under way, so the journal then holds every event of this world.
        let (world, _) = self.feed().follow(Some(&self.selection.kind().storage));
        loop {
            let Source::Live(subscription) = &mut self.source else { return };
            match subscription.ready(BATCH_EVENTS_MAX) {
                Ok(events) if events.is_empty() => break,
                Ok(events) => events.iter().for_each(|event| self.tell(event)),
                Err(_lagged) => return self.resume(self.told),
            }
        }
        self.told = self.told.max(world.revision());
        self.bookmark(self.told, false);
    }
}

impl Stream for Watch {
    type Item = Bytes;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let watch = self.get_mut();
        loop {
            if let Some(line) = watch.lines.pop_front() {
                return Poll::Ready(Some(line));
            }
            futures::ready!(watch.poll_conversion(context));
            if !watch.lines.is_empty() || watch.conversion.as_ref().is_some_and(|left| !left.waiting.is_empty()) {
                continue;
            }
            if matches!(watch.source, Source::Ended) {
                return Poll::Ready(None);
            }
            futures::ready!(watch.poll_fill(context));
        }
    }
}

/// Everything that waits in the version of a kind, in one call.
async fn converted(reader: &Reader, kind: &Kind, waiting: Vec<Told>) -> Result<Vec<Told>, Status> {
    let objects = waiting.iter().filter_map(|told| match told {
        Told::Object(_, object) => Some(object.clone()),
        Told::Line(_) => None,
    });
    let mut objects = reader.in_version(kind, objects.collect()).await?.into_iter();
    let told = waiting.into_iter().filter_map(|told| match told {
        Told::Object(what, _) => objects.next().map(|object| Told::Object(what, object)),
        line => Some(line),
    });
    Ok(told.collect())
}

/// What an event is to those who see a selection only. Source: apiserver cacher `convertToWatchEvent`.
fn view<'a>(selection: &Selection, event: &'a Event) -> Option<(EventType, &'a Arc<Object>)> {
    let previous = event.previous.as_ref().or(event.deleted.then_some(&event.object));
    let was_seen = previous.filter(|previous| selection.matches(previous));
    let is_seen = !event.deleted && selection.matches(&event.object);
    match (was_seen, is_seen) {
        (None, true) => Some((EventType::Added, &event.object)),
        (Some(_), true) => Some((EventType::Modified, &event.object)),
        (Some(_), false) if event.deleted => Some((EventType::Deleted, &event.object)),
        (Some(previous), false) => Some((EventType::Deleted, previous)),
        (None, false) => None,
    }
}

/// 410: the client must list again. Source: apiserver `watch_cache.go`.
fn too_old(asked: Revision, oldest: Revision) -> Status {
    Status::expired(format!("too old resource version: {asked} ({oldest})"))
}
