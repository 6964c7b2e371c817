//! `subscriptions/listen`: one stream on which a client hears that its list of tools or prompts has changed, that a resource
//! it follows has moved, or how a task of its stands. What changed is read again by the ordinary methods.
//!
//! Before anything is said the token is judged anew, with everything that hangs on it. When it is no longer good, or the
//! server stops, the stream ends in order: with the result of the request.

use std::collections::VecDeque;
use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderMap;
use bytes::Bytes;
use domain::id::ActionId;
use engine::watch::Watched;
use engine::{Admitted, Caller, Changes, RequestIds, Surface};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::error::RpcError;
use super::server::{Context, Reply};
use super::{resources, tasks};
use crate::streams::{Lines, Place, Speaker, comment};
use crate::{State, rate};

/// Resources, and tasks, that one stream follows.
const FOLLOWED_MAX: usize = 50;
/// Streams of one token.
pub const LISTENERS_PER_TOKEN_MAX: usize = 8;
/// Streams of this process.
pub const LISTENERS_MAX: usize = 512;

/// The least time between two looks: changes in between are told as one.
const LOOK_PAUSE: Duration = Duration::from_millis(200);

/// What a client asks to hear.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Wanted {
    tools_list_changed: bool,
    prompts_list_changed: bool,
    resource_subscriptions: Vec<String>,
    task_ids: Vec<String>,
}

/// Opens the stream.
///
/// # Errors
/// -32602 for too much at once, -32021 for tasks without the extension; too many streams.
pub async fn listen(cx: &Context<'_>, id: &str, wanted: Wanted) -> Result<Reply, RpcError> {
    if wanted.resource_subscriptions.len() > FOLLOWED_MAX || wanted.task_ids.len() > FOLLOWED_MAX {
        return Err(RpcError::params(vec!["notifications"]));
    }
    if !wanted.task_ids.is_empty() && !cx.abilities().tasks {
        return Err(RpcError::tasks_needed());
    }
    let place = cx.state.listeners.take(rate::Key::of(cx.actor)).map_err(|_| {
        RpcError::not_there(
            "too many streams are open",
            "rate_limited",
            "Close some; one stream can follow many resources.",
        )
    })?;
    let changes = cx.state.engine.changes(cx.actor);
    let mut followed = Vec::new();
    let mut accepted: Vec<&str> = Vec::new();
    for uri in &wanted.resource_subscriptions {
        let Some(watched) = resources::Address::parse(uri).and_then(resources::Address::watched) else {
            continue;
        };
        if let Some(mark) = mark(cx.state, cx.actor, watched).await {
            accepted.push(uri);
            followed.push(Followed { uri: uri.clone(), watched, mark });
        }
    }
    let mut watched_tasks = Vec::new();
    for task in &wanted.task_ids {
        let Ok(id) = task.parse::<ActionId>() else { continue };
        if cx.state.engine.standing(cx.caller(), id).await.is_ok()
            && let Some(mark) = mark(cx.state, cx.actor, Watched::Action(id)).await
        {
            watched_tasks.push((id, mark));
        }
    }
    let (tools, prompts) = (wanted.tools_list_changed, wanted.prompts_list_changed);
    let mut told = json!({});
    if let Some(members) = told.as_object_mut() {
        for (name, yes) in [("toolsListChanged", tools), ("promptsListChanged", prompts)] {
            if yes {
                members.insert(name.to_owned(), true.into());
            }
        }
        if !accepted.is_empty() {
            members.insert("resourceSubscriptions".into(), json!(accepted));
        }
        if !watched_tasks.is_empty() {
            let ids: Vec<ActionId> = watched_tasks.iter().map(|(id, _)| *id).collect();
            members.insert("taskIds".into(), json!(ids));
        }
    }
    let mut listener = Listener {
        state: cx.state.clone(),
        headers: cx.headers.clone(),
        surface: cx.door.surface,
        path: cx.door.path.to_owned(),
        slug: cx.door.slug.map(str::to_owned),
        ids: cx.ids.clone(),
        id: id.to_owned(),
        lists: (tools || prompts).then(|| names(cx.actor)),
        tools,
        prompts,
        followed,
        tasks: watched_tasks,
        changes,
        stopped: cx.state.stopped.clone(),
        lines: VecDeque::new(),
        ended: false,
        #[cfg(feature = "conformance")]
        suite: super::fixtures::Lists::new(),
        _place: place,
    };
    listener.tell("notifications/subscriptions/acknowledged", json!({ "notifications": told }));
    Ok(Reply::Stream(Body::new(Lines::of(listener))))
}

fn names(actor: &Admitted) -> Vec<&'static str> {
    actor.tools().iter().map(|tool| tool.name()).collect()
}

/// Where a record stands now; a fault is as good as no news, and is logged.
async fn mark(state: &State, actor: &Admitted, watched: Watched) -> Option<i64> {
    match state.engine.mark(actor, watched).await {
        Ok(mark) => mark,
        Err(fault) => {
            tracing::warn!("a stream could not look at what it follows: {fault}");
            None
        }
    }
}

/// A resource and where it stood when it was told of.
struct Followed {
    uri: String,
    watched: Watched,
    mark: i64,
}

/// One open stream.
struct Listener {
    state: State,
    headers: HeaderMap,
    surface: Surface,
    path: String,
    slug: Option<String>,
    ids: RequestIds,
    /// The id of the request, as JSON: the name of the subscription.
    id: String,
    /// The tools that were there when the lists were told of last.
    lists: Option<Vec<&'static str>>,
    tools: bool,
    prompts: bool,
    followed: Vec<Followed>,
    tasks: Vec<(ActionId, i64)>,
    changes: Changes,
    stopped: watch::Receiver<bool>,
    /// What is still to be sent.
    lines: VecDeque<Bytes>,
    ended: bool,
    #[cfg(feature = "conformance")]
    suite: super::fixtures::Lists,
    _place: Place,
}

/// Why a stream goes on.
enum Woken {
    Changed,
    Silence,
    Stopped,
}

impl Speaker for Listener {
    async fn next(mut self) -> Option<(Bytes, Listener)> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Some((line, self));
            }
            if self.ended {
                return None;
            }
            let woken = self.wait().await;
            if matches!(woken, Woken::Stopped) {
                self.end();
                continue;
            }
            let Some(actor) = self.actor().await else {
                self.end();
                continue;
            };
            if matches!(woken, Woken::Changed) {
                self.look(&actor).await;
            } else {
                self.lines.push_back(comment());
            }
        }
    }
}

impl Listener {
    async fn wait(&mut self) -> Woken {
        let silence = Duration::from_secs(self.state.settings.stream_keep_alive_seconds);
        #[cfg(not(feature = "conformance"))]
        let changed = self.changes.changed();
        #[cfg(feature = "conformance")]
        let changed = self.suite.or_changed(&mut self.changes);
        let woken = tokio::select! {
            _ = self.stopped.wait_for(|stopped| *stopped) => Woken::Stopped,
            changed = changed => if changed { Woken::Changed } else { Woken::Stopped },
            () = tokio::time::sleep(silence) => Woken::Silence,
        };
        if matches!(woken, Woken::Changed) {
            tokio::time::sleep(LOOK_PAUSE).await;
        }
        woken
    }

    /// Who listens, as of now; `None` when they may no longer.
    async fn actor(&self) -> Option<Admitted> {
        let slug = self.slug.as_deref();
        super::enter(&self.state, &self.headers, self.surface, &self.path, slug, &self.ids).await.ok()
    }

    /// Looks at everything that is followed and tells what has moved.
    async fn look(&mut self, actor: &Admitted) {
        if let Some(before) = &self.lists {
            let now = names(actor);
            if *before != now {
                self.lists = Some(now);
                if self.tools {
                    self.tell("notifications/tools/list_changed", json!({}));
                }
                if self.prompts {
                    self.tell("notifications/prompts/list_changed", json!({}));
                }
            }
        }
        #[cfg(feature = "conformance")]
        for method in self.suite.news(self.tools, self.prompts) {
            self.tell(method, json!({}));
        }
        for mut one in std::mem::take(&mut self.followed) {
            // What may no longer be read is no longer followed.
            let Some(now) = mark(&self.state, actor, one.watched).await else { continue };
            if now != one.mark {
                one.mark = now;
                self.tell("notifications/resources/updated", json!({ "uri": one.uri }));
            }
            self.followed.push(one);
        }
        for (id, before) in std::mem::take(&mut self.tasks) {
            let Some(now) = mark(&self.state, actor, Watched::Action(id)).await else { continue };
            if now != before {
                let ids = self.ids.clone();
                let caller = Caller { actor, channel: domain::action::Channel::Mcp, ids: &ids };
                let Ok(standing) = self.state.engine.standing(caller, id).await else { continue };
                self.tell("notifications/tasks", tasks::detail(&standing));
            }
            self.tasks.push((id, now));
        }
    }

    /// Every message names its subscription.
    fn named(&self) -> Value {
        let id: Value = serde_json::from_str(&self.id).unwrap_or_default();
        json!({ "io.modelcontextprotocol/subscriptionId": id })
    }

    fn tell(&mut self, method: &str, mut params: Value) {
        if let Some(members) = params.as_object_mut() {
            members.insert("_meta".into(), self.named());
        }
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    fn end(&mut self) {
        let id: Value = serde_json::from_str(&self.id).unwrap_or_default();
        let result = json!({ "resultType": "complete", "_meta": self.named() });
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "result": result }));
        self.ended = true;
    }

    fn send(&mut self, message: &Value) {
        self.lines.push_back(format!("event: message\ndata: {message}\n\n").into());
    }
}
