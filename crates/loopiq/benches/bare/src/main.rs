//! A bare server on the official SDK (`rmcp`): one tool, which reads the gaps of a release from an organization's file and answers with the
//! rows that the product answers with. No token, no policy, no audit, no checking of arguments.
//!
//! `bare FILE BASE` prints the address it serves at; BASE goes before the addresses of records.

use std::sync::{Arc, Mutex};

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ListToolsResult, PaginatedRequestParams,
    ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A gap as it is stored.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    id: String,
    certification_id: String,
    reason: String,
    severity: String,
    blocking: bool,
    detected_at: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Gap {
    id: String,
    title: String,
    reason: String,
    severity: String,
    blocking: bool,
    status: String,
    control: Control,
    release: Release,
    url: String,
    certification_id: String,
    detected_at: String,
}

#[derive(Serialize)]
struct Control {
    id: String,
    code: String,
    title: String,
}

#[derive(Deserialize)]
struct Titled {
    title: String,
}

#[derive(Clone, Deserialize, Serialize)]
struct Release {
    id: String,
    name: String,
}

#[derive(Serialize)]
struct Answer {
    items: Vec<Gap>,
    total: usize,
}

#[derive(Clone)]
struct Bare {
    connection: Arc<Mutex<Connection>>,
    base: Arc<str>,
}

impl Bare {
    fn gaps(&self, name: &str) -> Answer {
        let connection = self.connection.lock().unwrap();
        let mut release =
            connection.prepare_cached("select document from release where name_folded = lower(?1)").unwrap();
        let release: String = release.query_row([name], |row| row.get(0)).unwrap();
        let release: Release = serde_json::from_str(&release).unwrap();
        let mut gaps = connection
            .prepare_cached(
                "select gap.document, gap.status, control.id, control.code, control.document from evidence_gap gap
                 join control on control.organization_id = gap.organization_id and control.id = gap.control_id
                 where gap.release_id = ?1 and gap.status in ('open', 'in_remediation', 'excepted') order by gap.id desc",
            )
            .unwrap();
        let items = gaps.query_map([&release.id], |row| {
            let stored: Stored = serde_json::from_str(row.get_ref(0)?.as_str()?).unwrap();
            let titled: Titled = serde_json::from_str(row.get_ref(4)?.as_str()?).unwrap();
            let code: String = row.get(3)?;
            Ok(Gap {
                url: format!("{}/app/certifications/{}#{}", self.base, stored.certification_id, stored.id),
                title: format!("{code} {} evidence", stored.reason),
                status: row.get(1)?,
                control: Control { id: row.get(2)?, code, title: titled.title },
                release: release.clone(),
                id: stored.id,
                reason: stored.reason,
                severity: stored.severity,
                blocking: stored.blocking,
                certification_id: stored.certification_id,
                detected_at: stored.detected_at,
            })
        });
        let items: Vec<Gap> = items.unwrap().map(Result::unwrap).collect();
        Answer { total: items.len(), items }
    }
}

impl ServerHandler for Bare {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let schema =
            serde_json::json!({ "type": "object", "properties": { "release": { "type": "string" } } });
        let schema = schema.as_object().unwrap().clone();
        Ok(ListToolsResult::with_all_items(vec![Tool::new("list_evidence_gaps", "List gaps.", schema)]))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        let found = self.gaps(arguments["release"].as_str().unwrap());
        Ok(CallToolResult::structured(serde_json::to_value(found).unwrap()).into())
    }
}

#[tokio::main]
async fn main() {
    let [file, base] = std::env::args().skip(1).collect::<Vec<_>>().try_into().expect("FILE BASE");
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let bare = Bare { connection: Arc::new(Mutex::new(connection)), base: base.into() };
    let config =
        StreamableHttpServerConfig::default().with_legacy_session_mode(false).with_json_response(true);
    let service = StreamableHttpService::new(
        move || Ok(bare.clone()),
        Arc::new(LocalSessionManager::default()),
        config,
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("http://{}/mcp", listener.local_addr().unwrap());
    axum::serve(listener, axum::Router::new().nest_service("/mcp", service)).await.unwrap();
}
